"""Scores leads."""


def score(lead, weight=1, *, ctx=None):
    return lead


async def rank(leads: list, **options):
    return leads
