"""Topics of everyday life and the names they may take: the options of the described distributions.

Upstream: none, written for this project. Licence: Apache-2.0, as the code. A raw row:

    Topic("drink", "order", "orders", "at a cafe", "tea, coffee, juice, ...")

Kept out on purpose, because tasks that draw them are held out: containers of objects, U.S. states, weekdays, chemical
elements, car brands, numbers at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Topic(NamedTuple):
    """What is named, the event in which it comes up (singular, plural), where, and the names."""

    what: str
    unit: str
    units: str
    where: str
    names: tuple[str, ...]


_TOPICS = """
drink|order|orders|at a cafe|tea,coffee,juice,water,cocoa,lemonade,milk,cider,soda,espresso
dish|order|orders|in a canteen|soup,pasta,salad,curry,pizza,risotto,stew,noodles,omelette,tacos
fruit|vote|votes|in a school survey|apple,banana,cherry,grape,mango,pear,plum,kiwi,peach,melon
pet|household|households|in a small town|dog,cat,rabbit,hamster,parrot,goldfish,turtle,ferret,none
genre|song|songs|on a radio show|jazz,rock,folk,soul,blues,pop,techno,opera,reggae,metal
genre|film|films|at a festival|comedy,drama,horror,western,thriller,romance,musical,documentary
sport|mention|mentions|in a newspaper|football,tennis,rugby,hockey,golf,cricket,boxing,rowing,skiing
instrument|pupil|pupils|at a music school|piano,violin,guitar,flute,drums,cello,harp,trumpet,clarinet
weather|day|days|in a weather diary|sun,rain,fog,snow,wind,hail,storm,drizzle,frost
color|vote|votes|in an online poll|teal,pink,red,blue,green,yellow,silver,gold,grey,white,black,orange,purple,brown
color|car|cars|in a car park|red,blue,green,yellow,white,black,orange,purple,brown,grey
color|door|doors|in our street|purple,orange,brown,white,black,yellow,green,blue,red
color|kite|kites|over the beach|orange,yellow,purple,green,red,white,blue,brown,black
color|coat|coats|at a winter fair|brown,black,white,purple,orange,green,red,yellow,blue
color|light|lights|in a long exposure|white,orange,purple,blue,red,yellow,green,brown,black
team|goal|goals|in a school league|black,brown,purple,orange,white,green,blue,yellow,red
shirt|sighting|sightings|at a station|red,blue,green,yellow,white,black,striped,pink,grey,brown
bird|sighting|sightings|by the lake|heron,swan,duck,gull,crow,robin,owl,kestrel,finch,magpie
tree|entry|entries|in a forester's log|oak,birch,pine,maple,beech,ash,willow,elm,cedar,larch
animal|sighting|sightings|on a night camera|fox,deer,badger,hare,boar,hedgehog,marten,raccoon,wolf
fish|catch|catches|at the pier|trout,salmon,perch,carp,pike,cod,bream,eel,herring
city|ticket|tickets|at a travel desk|Paris,Rome,Madrid,Vienna,Oslo,Lisbon,Prague,Athens,Berlin,Dublin,Warsaw
country|visitor|visitors|at a museum|France,Japan,Brazil,Kenya,Canada,India,Spain,Egypt,Norway,Peru,Korea
language|caller|callers|on a helpline|English,Spanish,Arabic,French,Hindi,Polish,Turkish,Korean,Greek,Swahili
browser|visit|visits|to a website|Chrome,Firefox,Safari,Edge,Opera,Brave
transport|commuter|commuters|in an office|bus,train,bike,car,tram,ferry,scooter,on foot
answer|reply|replies|to a questionnaire|yes,no,maybe,unsure,no answer
answer|ballot|ballots|at a meeting|for,against,abstain
answer|reply|replies|to a survey|Agree,Disagree,Neutral,Strongly agree,Strongly disagree
result|match|matches|of a club|win,draw,loss
grade|exam|exams|in one class|A,B,C,D,E,F
size|sale|sales|in a clothes shop|small,medium,large,extra large
name|message|messages|in a group chat|Anna,Ben,Carla,David,Emma,Felix,Grace,Hugo,Iris,Jonas,Lena,Omar,Priya,Yuki
candidate|vote|votes|in a local election|Ruiz,Okafor,Lindqvist,Chen,Moreau,Haddad,Novak,Silva,Kaya,Murphy
party|seat|seats|on a council|Greens,Liberals,Labour,Centre,Conservatives,Independents
month|birthday|birthdays|in a club|January,February,March,April,May,June,July,August,September,October,November,December
season|visit|visits|to a park|spring,summer,autumn,winter
direction|trip|trips|from a crossing|north,south,east,west
mood|entry|entries|in a diary|happy,sad,calm,tired,angry,bored,excited,anxious
symptom|patient|patients|in a clinic|cough,fever,headache,rash,nausea,fatigue,dizziness
department|call|calls|to a hospital|surgery,radiology,cardiology,pediatrics,oncology,emergency
topic|ticket|tickets|on a support desk|billing,login,refund,delivery,warranty,spam,outage
status|request|requests|to a server|ok,timeout,error,retry,denied,redirect
cause|delay|delays|on a rail line|signal,weather,staff,track,strike,power
flavor|scoop|scoops|at a kiosk|vanilla,chocolate,strawberry,lemon,pistachio,mint,caramel,coconut
bread|sale|sales|at a bakery|rye,wheat,baguette,bagel,roll,sourdough,pretzel,ciabatta
flower|delivery|deliveries|from a florist|rose,tulip,lily,daisy,orchid,iris,peony,violet,poppy
subject|lesson|lessons|in a week of school|math,history,art,music,biology,physics,geography,chemistry
job|member|members|of a choir|nurse,teacher,baker,lawyer,farmer,driver,chef,painter,student
game|evening|evenings|at a game night|chess,poker,bingo,go,darts,dominoes,charades,bridge
opening|game|games|of a chess club|Sicilian,French,Caro-Kann,Italian,English,Scandinavian,Dutch
dog|guest|guests|at a kennel|poodle,beagle,boxer,collie,terrier,husky,spaniel,pug
cheese|plate|plates|at a market stall|brie,cheddar,gouda,feta,parmesan,stilton,ricotta,manchego
material|find|finds|at a dig|bone,flint,bronze,glass,clay,iron,amber,ivory
planet|photo|photos|by a telescope|Mercury,Venus,Mars,Jupiter,Saturn,Uranus,Neptune
dance|couple|couples|in a ballroom|waltz,tango,salsa,foxtrot,rumba,swing,polka
key|piece|pieces|in a songbook|C major,G major,D minor,A minor,F major,E minor
side|toss|tosses|of a bent coin|heads,tails
face|roll|rolls|of a loaded die|1,2,3,4,5,6
rating|review|reviews|of a hotel|1,2,3,4,5
score|throw|throws|of a dart player|5,10,20,25,50,60
letter|key press|key presses|in a typing test|a,e,i,o,u,s,t,n,r,x,z,q
code|parcel|parcels|at a depot|A1,A2,B1,B2,C3,D4,X7,Z9
nonsense word|trial|trials|in a lab|blick,dax,wug,toma,zib,fep,gorp,lume,vash,kiv
creature|chapter|chapters|of a fantasy saga|dragon,elf,goblin,wizard,troll,unicorn,giant,phoenix
"""

_MIXED = """
word|line|lines|in a word list
tag|post|posts|on a forum
guess|player|players|in a guessing game
keyword|search|searches|in a catalogue
"""


def _topics() -> Iterator[Topic]:
    """One topic a line; those of the second list may take any word that is a name in the first."""
    rows = [line.split("|") for line in _TOPICS.strip().splitlines()]
    words = dict.fromkeys(name for *_, names in rows for name in names.split(",") if name.isalpha())
    for what, unit, units, where, names in rows:
        yield Topic(what, unit, units, where, tuple(names.split(",")))
    for line in _MIXED.strip().splitlines():
        yield Topic(*line.split("|"), tuple(words))


TOPICS = tuple(_topics())
"""Every topic. The mixed ones have names that nothing else tells: there only the shares say which comes up."""
