"""Word lists of the offline model: small, readable, and all it knows of any language."""

from __future__ import annotations

import re

_STOP = {
    "en": """a about above after again against all also although among an and any are as at be became because been before
        being below between both but by can cannot could did do does doing down during each either else even ever few for
        from further get gets got had has have having he her here hers him his how however i if in into is it its itself
        just least less like made make makes many may me might more most much must my nor no not now of off often on once
        one only onto or other our out over own per rather said same say says see she should since so some such than that
        the their them then there these they this those through thus to too under until up upon us use used uses using
        very via was we were what when where whether which while who whom whose why will with within without would yet
        you your""",
    "fr": """au aux avec ce cela ces cette comme dans de des du elle en est et eux il ils je la le les leur lui mais même
        ne nos notre nous on ont ou où par pas plus pour qu que qui sa sans se ses son sont sur ta te tu un une vous été
        être""",
    "de": """aber als am an auch auf aus bei bin bis bist da das dass dem den der des die dies dieser doch du durch ein
        eine einem einen einer er es für hat hatte ich ihr im in ist ja kann kein mit nach nicht noch nur oder sein sich
        sie sind allen alle alles denen deren dessen diesem diesen dort beim genau hatten haben habe heute hier ihre ihren immer
        jede jeder jedes mehr meisten neun sieben seit sechs drei vier zwei zehn wurde wurden worden während zwischen ohne unter
        unser unsere eines gibt kostet wo so um und uns vom von vor war was wenn wer werden wie wir wird zu zum zur über""",
    "es": """al como con de del desde donde el ella ellos en entre era es esta este fue ha hay la las le les lo los más
        mi muy no nos o para pero por porque que se sin sobre son su sus también un una y ya""",
}
LANGUAGES = {code: frozenset(words.split()) for code, words in _STOP.items()}
STOP_WORDS = frozenset().union(*LANGUAGES.values())

TITLES = frozenset("mr mrs ms dr prof".split())
# A dot after these ends no sentence ...
ABBREVIATIONS = TITLES | frozenset(
    """st vs fig figs eq cf vol pp ed eds approx est dept e.g i.e jan feb apr jun jul aug sep sept oct nov dec bzw z.b
    d.h nr str av bd art gen col sgt rev hon""".split()
)
# ... and after these it may: then the next word tells.
SOFT_ABBREVIATIONS = frozenset("etc inc ltd co corp jr sr u.s u.k a.m p.m al no usw ca p sec ch".split())

INSTRUCTION_STARTS = re.compile(
    r"(?:please\s+|now\s+|then\s+|you are\b|your (?:task|job)\b|using\b.{0,60}\b|based on\b.{0,60}\b|"
    r"in (?:one|two|three|\d+)\b.{0,60},\s*|from the (?:file|text|document|page|following)\b|the following\b|"
    r"here (?:is|are)\b|below (?:is|are)\b|this (?:part|text) of\b)|"
    r"(?:(?:please|now|then)\s+)?(?:summari[sz]e|write|list|extract|give|answer|translate|explain|describe|classify|"
    r"rewrite|rate|score|judge|compare|find|identify|return|produce|create|draft|tell|make|pull|read the|analy[sz]e|"
    r"generate|turn|convert|condense|shorten|name|pick|choose|decide|say|state|suggest|propose|review|outline|"
    r"use only|do not|respond|reply|output|note)\b",
)

NUMBERS = {
    "one": 1, "a": 1, "an": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50,
}  # fmt: skip
NUMBER = r"(?:\d+|" + "|".join(NUMBERS) + r")"

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero",
            "february feb februar février fevrier febrero",
            "march mar märz maerz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août aout agosto",
            "september sep sept septembre septiembre",
            "october oct oktober octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember décembre decembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}

UNITS = frozenset(
    """euro euros dollar dollars pound pounds percent hour hours day days week weeks month months year years minute minutes
    second seconds time times metre metres kilometre kilometres o'clock monday tuesday wednesday thursday friday saturday
    sunday stunden tage monate jahre prozent""".split()
) | frozenset(MONTHS)

HEDGES = re.compile(
    r"\b(?:(?-i:may)|might|could|possibly|perhaps|probably|likely|reportedly|apparently|appears?|seems?|suggests?|rumou?red|"
    r"unclear|unconfirmed|expected|estimated?|about|around|roughly|approximately|some say|believed|hopes?|planned)\b",
    re.I,
)
STRONG_HEDGES = re.compile(
    r"\b(?:might|possibly|perhaps|reportedly|apparently|rumou?red|unclear|unconfirmed|some say|believed)\b", re.I
)
NEGATIONS = re.compile(r"\b(?:not|no|never|without|neither|nor|none|cannot|n't|nicht|kein|keine|pas|sin)\b", re.I)

POSITIVE = frozenset(
    """good great excellent happy love loved perfect best thank thanks improved success successful pleased fast helpful
    recommend wonderful nice easy better glad delighted reliable satisfied""".split()
)
NEGATIVE = frozenset(
    """bad poor terrible awful broken worst hate hated angry slow fail failed failure problem problems error errors
    disappointed refund complaint unhappy wrong late never lost damage damaged unacceptable useless crash crashed""".split()
)
URGENT = frozenset("urgent urgently asap immediately critical emergency outage blocker deadline overdue severe".split())


def number_of(word: str) -> int | None:
    """3 of `three` and of `3`."""
    return int(word) if word.isdigit() else NUMBERS.get(word.lower())
