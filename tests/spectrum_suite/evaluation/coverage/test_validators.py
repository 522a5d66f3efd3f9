import doctest

import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.evaluation.coverage import valid_answers, validators
from spectrum_suite.evaluation.coverage.valid_answers import is_prime
from spectrum_suite.evaluation.coverage.validators import VALIDATORS, canonical, n_valid, validate


def words(text, between=" "):
    return text.split(between)


STATES = words(
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|"
    "Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|"
    "Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|"
    "North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|"
    "Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming",
    "|",
)
CODES = words(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH "
    "OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FULL_DAYS = [form for day in DAYS for form in (day, day.upper(), day.lower())]
SHORT_DAYS = [
    form for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") for form in (day, day + ".", day.upper())
]

COLOURS = ["Teal", "Martian’s Moon", "Café Noir", "Drowsy Lighthouse", "100 Miles", "Salt & Pepper", "Blue-Black"]
SYMBOLS = words("H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ag Sn I Cs Au Hg Pb U")
ELEMENTS = words(
    "Hydrogen Helium Lithium Carbon Nitrogen Oxygen Neon Sodium Aluminum Silicon Sulfur Iron Copper Silver "
    "Tin Iodine Cesium Gold Mercury Lead Uranium"
)
CARS = [
    "Lexus\tIS", "Lexus\tES", "INFINITI\tQ", "Honda\tFit", "Honda\tCR-V", "Honda\tCivic", "Ford\tGT", "Ford\tF150",
    "Ford\tMustang", "Ford\tMustang MACH-E", "MAZDA\tMAZDA3", "MAZDA\tCX-5", "MAZDA\tCX-50", "Audi\tA4",
    "Audi\tA4 (2005.5)", "Audi\te-tron", "Audi\tQ8 e-tron", "Tesla\tModel 3", "Mercedes-Benz\tC-Class", "BMW\tM",
    "BMW\t3 Series", "Chrysler\tTown & Country", "Ram\tC/V", "Volvo\t240", "Alfa Romeo\t4C",
]  # fmt: skip
ITEMS = {
    "one_of": COLOURS, "one_of_exact": SYMBOLS, "element_name": ELEMENTS, "contains_make_and_model": CARS
}  # fmt: skip

VALID = {
    "one_of": [
        *COLOURS, *map(str.lower, COLOURS), *map(str.upper, COLOURS[:2]), "Martian's Moon", " Teal", "Teal ", "Teal\n",
        "\tTeal\n", "cafe\u0301 noir", "CAFÉ NOIR", "  blue-black  ",
    ],
    "one_of_exact": SYMBOLS,
    "element_name": [
        *ELEMENTS, *map(str.lower, ELEMENTS), *map(str.upper, ELEMENTS), "Aluminium", "aluminium", "CAESIUM", "sulphur",
    ],
    "contains_make_and_model": [
        "Lexus IS", "lexus is", "LEXUS IS 350", "A Lexus ES from 2004", "Infiniti Q", "Honda Fit", "honda  fit",
        "the Fit, by Honda", "Honda CR-V", "Honda cr-v EX", "1999 Honda Civic", "Honda\nCivic", "Ford GT.",
        "Ford F150!", "'Ford Mustang'", "Ford Mustang Mach-E", "Mazda3", "Mazda MAZDA3", "mazda cx-50",
        "Audi A4 (2005.5)", "Audi Q8 e-tron", "Tesla Model 3", "Mercedes-Benz C-Class", "BMW M", "bmw 3 series",
        "Chrysler Town & Country", "Ram C/V", "Volvo 240 wagon", "(Alfa Romeo 4C)",
        "Tesla\nModel  3",
    ],
    "email": [
        "a@example.com", "a.b@example.com", "first.last@uni.example.edu", "x+tag@example.org", "x_y@example.net",
        "100%@example.com", "A@EXAMPLE.COM", "n-1@example.co", "1@2.io", "x@a-b.example.com", " a@example.com",
        "a@example.com ", "a@example.com\n", f"{'a' * 64}@example.com", f"a@{'b' * 63}.com", "a@b.museum",
        "lee.sample@mail.example.com", "info@mail.example.ac.uk", "x@test.example", "x@made-up.test", "_@example.com",
        "%@example.com", "+@example.com", "a-@example.com", "a@xn--mnchen-3ya.de",
    ],
    "professional_email": [
        "a@example.com", "a.b@example.org", "first.last@example.edu", "office@agency.example.gov",
        "x+tag@lab.example.org", "X@EXAMPLE.COM", "a@example.Edu", " a@example.com\n", "press@city.example.gov",
        "a_b@a-b.com", "1@1.com", "hr@hr.example.com", "jan@charity.example.org", "dean@college.example.edu",
        "x@co.uk.com", "x-y@example.com", "x%y@example.com", "team@example.org", "q@q.example.edu",
        "ceo@start.example.com", "info@museum.example.org",
    ],
    "us_phone_number": [
        "212-555-0147", "(415) 555-0123", "303 555 0189", " 212-555-0147", "212-555-0147\n", "\t(415) 555-0123 ",
        "800-555-0199", "(555) 123-4567", "555-123-4567", "555 123 4567", "123-456-7890", "(123) 456-7890",
        "999-999-9999", "(907) 555-0101", "808 555 0102", "646-555-0103", "(305) 555-0104", "702 555 0105",
        "911-123-4567", "(202) 555-0108", "718-555-0106", "617 555 0107",
    ],
    "international_phone_number": [
        "+44 20 7946 0958", "+33 1 99 00 12 34", "+1 212-555-0198", "+1-212-555-0198", "+14155552671",
        "+61 2 5550 1234", "+49 30 123456", "+39 06 1234 5678", "+81-3-1234-5678", "+91 12345 67890",
        "+86 123 0000 0000", "+55 11 90000 0000", "+7 495 000-00-00", "+34 900 000 000", "+1415 555 2671",
        "+353 1 234 5678", " +44 20 7946 0958", "+44 20 7946 0958\n", "+4420 79460958", "+46 8 123 456 78",
        "+27 21 123 4567", "+52 55 1234 5678", "+1 555 123 4567",
    ],
    "prime": [
        "2", "3", "5", "7", "11", "13", "97", "101", "613", "997", "7919", "104729", "1299709", "15485863", "179424673",
        "2147483647", "4294967291", "2305843009213693951", "18446744073709551557", str(2**127 - 1), str(2**89 - 1),
        "6700417",
    ],
    "prime_below_100": words("2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97"),
    "seed": [
        "0", "1", "42", "58", "907", "123", "1234", "12345", "3140627", "4294967295", "2147483648", "007", "0042", "+5",
        "-0", " 42", "42 ", "42\n", "\t42\n", "0000000000000042", "1000000000", "99999999",
    ],
    "number_1_to_10": words("1 2 3 4 5 6 7 8 9 10"),
    "number_1_to_100": [str(number) for number in range(1, 101)],
    "us_state_name": STATES,
    "us_state_code": CODES,
    "us_state_any": STATES + CODES,
    "weekday_name": FULL_DAYS,
    "weekday_abbreviation": SHORT_DAYS,
    "weekday_any": [*FULL_DAYS, *SHORT_DAYS, "M", "T", "W", "Th", "F", "Sa", "Su"],
}  # fmt: skip

INVALID = {
    "one_of": [
        "", " ", "Tea", "Teall", "Tael", "Teal.", "'Teal'", "Teal, Mauve", "the Teal", "Te al", "Martians Moon",
        "Martian`s Moon", "Cafe Noir", "Café  Noir", "CaféNoir", "Drowsy", "Lighthouse Drowsy", "100 Mile", "100-Miles",
        "Salt and Pepper", "Blue Black", "BlueBlack", "Teal\nTeal", "\u0422eal",
    ],
    "one_of_exact": [
        "", "h", "HE", "he", "hE", " H", "H ", "H\n", "Hh", "X", "Fe.", "FE", "fe", "Na+", "H2", "H, He", "Au\t",
        "Iron", "CL", "cl", "aU", "Mgg", "M", "\u041d", "Сu",
    ],
    "element_name": [
        "", " Iron", "Iron ", "Iron\n", "\tIron", "Irn", "Irons", "Iron.", "the Iron", "Fe", "Alumium", "Aluminuim",
        "Sulphor", "Caesiun", "Hydro gen", "Hydrogen Helium", "Iron,", "Steel", "Water", "Bronze", "Adamantium", "Led",
        "Golds", "Ir on", "ІRON",
    ],
    "contains_make_and_model": [
        "", "Lexus", "IS", "Lexus this", "Lexus island", "Lexus esteem", "Infiniti QX", "Infiniti Q-50", "Honda outfit",
        "Honda fitting", "Honda Fits", "Honda CR-Vs", "Honda CRV", "Hondas Civic", "Toyota Civic", "Ford GTX",
        "Ford F-150", "Ford F1500", "Ford Mustangs", "Mazda 3", "Mazda CX-500", "Mazda CX", "Audi A45", "Audi RA4",
        "Audi e-trons", "Tesla Model 30", "Tesla Model3", "Mercedes C-Class", "Mercedes-Benz CLC-Class", "BMW M3",
        "BMW M-Sport", "Honda Mustang", "Ford Civic", "Chrysler Town and Country", "Volvo 2400", "Fordham GT",
        "Xmazda3",
        "Honda out-fit",
    ],
    "email": [
        "", "a", "a@", "@example.com", "a@example", "a@example.c", "a@.com", "a@example..com", "a..b@example.com",
        ".a@example.com", "a.@example.com", "a@.example.com", "a@example.com.", "a b@example.com", "a@exam ple.com",
        "a@@example.com", "a@b@example.com", "a@example.c0m", "a@example.com, b@example.com", "<a@example.com>",
        '"a b"@example.com', "a@[127.0.0.1]", "ä@example.com", "a@exämple.com", "a@-example.com", "a@example-.com",
        "a@example_.com", f"{'a' * 65}@example.com", f"a@{'b' * 64}.com", f"a@{'b.' * 126}com", "mailto:a@example.com",
        "a!@example.com", "a'b@example.com", "a@example.com\nb@example.com", "a@b.invalid", "a@example.com/",
        "a\u0660..@example.com",
    ],
    "professional_email": [
        "", "a@example.net", "a@example.co", "a@example.io", "a@example.com.au", "a@example.ac.uk", "a@example.mil",
        "a@examplecom", "a@com", "@example.com", "a@.com", "a..b@example.com", ".a@example.com", "a.@example.org",
        "a@example.orgs", "a@example.comm", "a@example.c", "a@example.com.", "a b@example.com", "a@example.edu.cn",
        "a@example.gov.uk", "a@example.info", "a@-example.com",
    ],
    "us_phone_number": [
        "", "2125550147", "212.555.0147", "+1 212-555-0147", "1-212-555-0147", "1 212 555 0147", "(212)555-0147",
        "(212) 555 0147", "(212)-555-0147", "212-5550147", "212-555 0147", "212 555-0147", "212-555-014",
        "212-555-01477", "21-555-0147", "555-0147", "212--555-0147", "212  555 0147", "(212 555-0147", "212) 555-0147",
        "212-555-O147", "２１２-555-0147", "212-555-0147 ext. 3", "212-555-0147\n303-555-0189", "tel:212-555-0147",
        "(011) 432-1234", "212–555–0147",
    ],
    "international_phone_number": [
        "", "44 20 7946 0958", "0044 20 7946 0958", "+", "+44", "+999 123 4567", "+0 123 456 7890", "+210 123 4567",
        "+1 555-1234", "+44 1234", "+12 345 6789", "+44  20 7946 0958", "+44 20--7946 0958", "+44 (0)20 7946 0958",
        "+44 (20) 7946 0958", "+44.20.7946.0958", "+1 212 555 0198 0198", "+1234567890123456", "+1 2 1 2 5 5 5 0 1 9 8",
        "+44 20 7946 095a", "++44 20 7946 0958", "+ 44 20 7946 0958", "+44 20 7946 0958 ext 2", "-44 20 7946 0958",
        "+٤٤ 20 7946 0958", "+44 20 7946 0958-", "+44 20 7946 0958\n+33 1 99 00 12 34", "+1 12 345",
        "+43 1234", "+49 12345678901234",
    ],
    "prime": [
        "", "0", "1", "4", "6", "9", "91", "100", "561", "1105", "1729", "2047", "02", "007", " 7", "7 ", "7\n", "-7",
        "+7", "7.0", "7,", "1,009", "1e3", "seven", "٧", "７", "²", "0x7", "1_009", "3215031751", "3825123056546413051",
        "318665857834031151167461", "3317044064679887385961981", "147573952589676412927", "9" * 400, "1" * 5000,
    ],
    "prime_below_100": [
        "", "0", "1", "4", "9", "15", "21", "27", "33", "39", "49", "51", "57", "63", "69", "77", "81", "87", "91",
        "93", "99", "100", "101", "103", "02", "007", " 7", "7 ", "7\n", "-7", "+7", "7.", "٧", "seven", "2, 3",
    ],
    "seed": [
        "", " ", "-1", "-42", "4294967296", "9999999999", "10000000000", "1.0", "1.5", "1e5", "1,000", "1_000", "0x2A",
        "2A", "forty-two", "42.", "4 2", "42 43", "42\n43", "++5", "+-5", "+", "٤٢", "４２", "²", "nan", "None",
        "9" * 5000,
    ],
    "number_1_to_10": [
        "", "0", "11", "12", "100", "-1", "+1", "01", "010", "1.0", "1.", "5.5", " 1", "1 ", "10\n", "1 2", "one",
        "Ten", "٣", "３", "1,", "(1)", "10.", "²",
    ],
    "number_1_to_100": [
        "", "0", "00", "01", "007", "0100", "101", "110", "200", "1000", "-5", "+5", "5.0", "50.", " 50", "50 ", "50\n",
        "5 0", "1e2", "fifty", "٥٠", "５０", "50%", "1_0", "#50",
    ],
    "us_state_name": [
        "", "california", "CALIFORNIA", "california ", "California ", " California", "California\n", "Californa",
        "Calfornia", "CA", "Puerto Rico", "Guam", "Washington, D.C.", "District of Columbia", "Washington DC",
        "New york", "NewYork", "New  York", "New-York", "York", "Carolina", "Dakota", "Virginia, West", "Ohio.",
        "the Ohio", "Massachusets", "Missisippi", "Tennesee", "Hawai'i", "Ontario",
    ],
    "us_state_code": [
        "", "ca", "Ca", "cA", " CA", "CA ", "CA\n", "CA.", "C.A.", "Cal", "Calif.", "California", "DC", "PR", "GU",
        "VI", "AS", "MP", "AA", "AE", "AP", "XX", "ZZ", "NB", "CAL", "C", "US", "ON", "\u0421A", "CA, NY",
    ],
    "us_state_any": [
        "", "ca", "Ca", "california", "CALIFORNIA", "California ", " CA", "CA\n", "California (CA)", "CA California",
        "CA, NY", "DC", "PR", "Puerto Rico", "District of Columbia", "Calif.", "N.Y.", "NYC", "New york", "NewYork",
        "Ohio.", "Ontario", "ZZ", "Virginias",
    ],
    "weekday_name": [
        "", "Mon", "MON", "M", "monDay", "mONDAY", "MOnday", "Monday ", " Monday", "Monday\n", "Monday.", "Mondays",
        "Munday", "Wendesday", "Wednsday", "Thurday", "Tuesdays", "the Monday", "Monday, Tuesday", "Lundi", "Weekend",
        "Today", "1", "Sun day", "Satuday",
    ],
    "weekday_abbreviation": [
        "", "Monday", "mon", "mON", "MON.", "mon.", "Mon ", " Mon", "Mon\n", "Mon,", "Mo", "M", "Tues", "Tues.", "Weds",
        "Thur", "Thurs", "Th", "Thu..", "S", "Sa", "Su", "Mond", "Fry", "Tus", "MO", "Mon Tue", "MoN",
    ],
    "weekday_any": [
        "", "mon", "mon.", "MON.", "mONDAY", "Monday ", " M", "M ", "m", "t", "Tu", "TH", "th", "R", "S", "SA", "SU",
        "sa", "Mo", "We", "Fr", "Thurs", "Tues.", "Monday.", "M.", "Sun\n", "Monday (Mon)", "MTWThF",
    ],
}  # fmt: skip

ENTIRELY_LISTED = {"number_1_to_10": 10}  # fewer valid texts than the twenty that others show


def test_every_rule_is_shown_at_least_twenty_texts_of_each_kind():
    assert VALID.keys() == INVALID.keys() == VALIDATORS.keys()
    for name in VALIDATORS:
        assert len(set(VALID[name])) >= ENTIRELY_LISTED.get(name, 20), name
        assert len(set(INVALID[name])) >= 20, name


@pytest.mark.parametrize("name", sorted(VALIDATORS))
def test_valid_texts(name):
    assert [text for text in VALID[name] if not validate(name, text, ITEMS.get(name, ()))] == []


@pytest.mark.parametrize("name", sorted(VALIDATORS))
def test_invalid_texts(name):
    assert [text for text in INVALID[name] if validate(name, text, ITEMS.get(name, ()))] == []


@pytest.mark.parametrize(
    ("name", "n_items"),
    [
        ("one_of", 7), ("one_of_exact", 38), ("element_name", 21), ("contains_make_and_model", 25), ("email", None),
        ("professional_email", None), ("us_phone_number", None), ("international_phone_number", None), ("prime", None),
        ("prime_below_100", 25), ("seed", 4294967296), ("number_1_to_10", 10), ("number_1_to_100", 100),
        ("us_state_name", 50), ("us_state_code", 50), ("us_state_any", 50), ("weekday_name", 7),
        ("weekday_abbreviation", 7), ("weekday_any", 7),
    ],
)  # fmt: skip
def test_how_many_valid_items_there_are(name, n_items):
    assert n_valid(name, ITEMS.get(name, ())) == n_items


@pytest.mark.parametrize(
    "name", [n for n in VALIDATORS if VALIDATORS[n].count(tuple(ITEMS.get(n, ()))) in range(1, 101)]
)
def test_the_valid_texts_shown_cover_no_more_items_than_there_are(name):
    items = ITEMS.get(name, ())
    shown = {canonical(name, text, items) for text in [*VALID[name], *items]} - {None}
    if name != "contains_make_and_model":  # whose items are not themselves answers
        assert len(shown) == n_valid(name, items)
    assert len(shown) <= n_valid(name, items)


@pytest.mark.parametrize(
    ("name", "texts", "item"),
    [
        ("one_of", ["Martian’s Moon", " martian's moon"], "martian's moon"),
        ("one_of_exact", ["He"], "He"),
        ("element_name", ["Caesium", "CESIUM"], "cesium"),
        ("contains_make_and_model", ["the Audi Q8 e-tron", "AUDI Q8 E-TRON 2024"], "audi q8 e-tron"),
        ("contains_make_and_model", ["Ford Mustang GTX", "ford mustang"], "ford mustang"),
        ("email", ["A.b@Example.com ", "a.b@example.com"], "a.b@example.com"),
        ("us_phone_number", ["(415) 555-0123", "415-555-0123", "415 555 0123"], "+14155550123"),
        ("international_phone_number", ["+1 415-555-0123", "+14155550123"], "+14155550123"),
        ("prime", ["7919"], "7919"),
        ("seed", ["007", "+7", " 7"], "7"),
        ("us_state_any", ["CA", "California"], "California"),
        ("weekday_any", ["Th", "Thu.", "THU", "thursday"], "Thursday"),
        ("weekday_any", ["T", "Tue"], "Tuesday"),
        ("weekday_any", ["Su", "SUN"], "Sunday"),
    ],
)
def test_ways_to_write_one_item(name, texts, item):
    assert {canonical(name, text, ITEMS.get(name, ())) for text in texts} == {item}


@pytest.mark.parametrize(("code", "state"), list(zip(CODES, STATES, strict=True)))
def test_codes_of_states(code, state):
    assert canonical("us_state_any", code) == canonical("us_state_code", code) == state


def test_items_that_differ_in_case_alone_are_one():
    assert n_valid("one_of", ["Teal", "TEAL", "Mauve"]) == 2
    assert n_valid("one_of_exact", ["Co", "CO"]) == 2
    assert n_valid("contains_make_and_model", ["Ford\tGT", "FORD\tgt", "Ford\tKa"]) == 2


def test_primes_below_30000_agree_with_a_sieve():
    composite = {multiple for p in range(2, 174) for multiple in range(p * p, 30_000, p)}
    assert [n for n in range(30_000) if is_prime(n)] == [n for n in range(2, 30_000) if n not in composite]


@pytest.mark.parametrize(
    "number",
    # the least strong pseudoprimes to the first 1, 2, 3, 4, 5, 6, 8, 11, 12 and 13 primes (OEIS A014233)
    [
        2047, 1373653, 25326001, 3215031751, 2152302898747, 3474749660383, 341550071728321, 3825123056546413051,
        318665857834031151167461, 3317044064679887385961981,
    ],
)  # fmt: skip
def test_composites_that_look_prime_to_few_bases(number):
    assert not is_prime(number)


@pytest.mark.parametrize("exponent", [61, 89, 107, 127, 521])
def test_mersenne_primes_and_a_product_of_two(exponent):
    prime = 2**exponent - 1
    assert is_prime(prime)
    assert not is_prime(prime + 2)  # 2^p + 1 is divisible by 3
    assert not is_prime(prime * (2**61 - 1))


def test_an_unknown_rule_is_named_with_the_closest_one():
    with pytest.raises(UserError, match="'us_state_nam' not found, did you mean 'us_state_name'"):
        validate("us_state_nam", "Ohio")


@pytest.mark.parametrize("name", sorted(ITEMS))
def test_a_list_that_is_missing_is_said(name):
    with pytest.raises(UserError, match="needs the valid items"):
        validate(name, "Teal")
    with pytest.raises(UserError, match="needs the valid items"):
        n_valid(name)


def test_a_text_that_is_not_valid_has_no_item():
    with pytest.raises(ValueError, match="'Ontario' is not valid"):
        canonical("us_state_name", "Ontario")


@pytest.mark.parametrize("module", [valid_answers, validators])
def test_docstring_examples(module):
    result = doctest.testmod(module)
    assert result.attempted >= 1
    assert result.failed == 0
