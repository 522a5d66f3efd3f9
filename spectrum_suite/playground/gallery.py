"""Questions to begin with: what the fields of the page may hold."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from dataset_builder.sources.states import REQUEST, STATES

TUG_OF_WAR = "Ann and Bob pull a rope against each other. Ann has won eight of their last ten matches."
DINER = "What one person says about dishes in a restaurant."
RATINGS = "just right\ntoo mild\ntoo hot"


@dataclass(frozen=True)
class Case:
    """A filled-in page.

    Attributes:
        name: What the button says.
        description: What is drawn from.
        examples: One a line.
        given: The input that the next output belongs to.
        options: One a line.
    """

    name: str
    description: str
    examples: str = ""
    given: str = ""
    options: str = ""

    @property
    def fields(self) -> list[str]:
        """The contents of the fields, in their order."""
        return [*astuple(self)[1:]]


GALLERY = (
    Case("An urn", "A ball is drawn from an urn with 6 red, 3 blue and 1 green balls.", options="red\nblue\ngreen"),
    Case(
        "Two dice",
        "Two fair dice with six sides are rolled. The output is the sum of the two numbers.",
        options="\n".join(map(str, range(2, 13))),
    ),
    Case("A U.S. state", "", given=REQUEST, options="\n".join(STATES)),
    Case("Tug of war", f"{TUG_OF_WAR} Both are well rested. Who wins the next match?", options="Ann\nBob"),
    Case(
        "Tug of war after a sleepless night",
        f"{TUG_OF_WAR} Ann has not slept all night and can hardly stand. Who wins the next match?",
        options="Ann\nBob",
    ),
    Case(
        "Likes it mild",
        DINER,
        "vindaloo => too hot\nkorma => just right\nchili con carne => too hot\nbutter chicken => just right",
        "jalapeño soup",
        RATINGS,
    ),
    Case(
        "Likes it hot",
        DINER,
        "vindaloo => just right\nkorma => too mild\nchili con carne => just right\nbutter chicken => too mild",
        "jalapeño soup",
        RATINGS,
    ),
)
