"""Invented names: towns, rivers, people, companies, books; and everyday things to count."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

TOWN_STARTS = (
    "Tor", "Bel", "Mar", "Quen", "Ash", "Dun", "Vel", "Hol", "Kes", "Lor", "Nim", "Oster", "Pell",
    "Rav", "Sel", "Thorn", "Ul", "Wex", "Yar", "Zel", "Bram", "Cor", "Dray", "Eld", "Fen", "Gar",
    "Hax", "Ing", "Jor", "Kil",
)  # fmt: skip
TOWN_ENDS = (
    "vale",
    "wick",
    "mouth",
    "stead",
    "by",
    "ham",
    "burn",
    "crest",
    "holm",
    "gate",
    "ridge",
)
RIVER_STARTS = (
    "Os", "Ner", "Ar", "Bry", "Cal", "Del", "Fen", "Gly", "Is", "Lan", "Mer", "Oru", "Pan", "Sil",
    "Tam", "Wen",
)  # fmt: skip
RIVER_ENDS = ("trel", "win", "dra", "mere", "sa", "tine", "low", "va")
FIRST_NAMES = (
    "Alda", "Borin", "Celia", "Darro", "Edda", "Faron", "Greta", "Hale", "Ines", "Joris", "Kaia",
    "Levan", "Mirel", "Nadir", "Odile", "Perrin", "Quilla", "Rosk", "Signe", "Tavi", "Una", "Vesna",
    "Wilmar", "Xenia", "Yorick", "Zora", "Anselm", "Brisa", "Corin", "Delphe", "Emrik", "Fenna",
)  # fmt: skip
LAST_NAMES = (
    "Abbot", "Brandt", "Calloway", "Dresner", "Eklund", "Farrow", "Gantry", "Hollis", "Irving",
    "Jessop", "Karvel", "Lindqvist", "Marlowe", "Norrand", "Oakes", "Pemberly", "Quist", "Renfro",
    "Sorley", "Tolland", "Umber", "Vantongeren", "Wexford", "Yarrow", "Zimmer", "Bellamy",
)  # fmt: skip
COMPANY_STARTS = (
    "Quillmark", "Northbell", "Silverpin", "Copperleaf", "Brightwater", "Stonebridge", "Redkite",
    "Longacre", "Fairwind", "Greyfield", "Highmoor", "Ironvale", "Kingfisher", "Lanternhouse",
    "Mossgate", "Oldcastle", "Pinebrook", "Rookwood", "Saltmarsh", "Tidewell",
)  # fmt: skip
COMPANY_ENDS = ("Works", "Mills", "Foundry", "Instruments", "Textiles", "Glass", "Press", "Motors")
BOOK_ADJECTIVES = (
    "Amber", "Silent", "Crooked", "Winter", "Hollow", "Crimson", "Forgotten", "Paper", "Northern",
    "Borrowed",
)  # fmt: skip
BOOK_NOUNS = ("Ledger", "Lighthouse", "Orchard", "Compass", "Bridge", "Mirror", "Harbour", "Garden")
WATERS = (
    "Lake Orvane", "Lake Sundry", "Lake Tessel", "the Bay of Lorne", "the Gulf of Hessa",
    "the Umber Sea", "the Sea of Varn", "Lake Miravel",
)  # fmt: skip
MOUNTAINS = (
    "Mount Corvin", "Mount Halder", "Mount Essary", "Mount Brannoch", "Mount Tulley",
    "Mount Vasker",
)  # fmt: skip
PRODUCTS = (
    "barometers", "woollen blankets", "church bells", "steam pumps", "copper kettles", "atlases",
    "bicycle frames", "window glass", "sewing machines", "rowing boats", "clock springs",
    "ceramic tiles", "telescopes", "paper lanterns",
)  # fmt: skip
PROFESSIONS = (
    "astronomer", "botanist", "bridge engineer", "cartographer", "composer", "geologist",
    "lighthouse keeper", "painter", "physician", "printer", "surveyor", "violin maker",
)  # fmt: skip
SPECIALITIES = (
    "smoked trout", "plum bread", "heather honey", "blue cheese", "pear cider", "salted almonds",
    "rye cakes", "rose jam", "pickled herring", "walnut oil",
)  # fmt: skip
THINGS = (
    "apples", "tickets", "lanterns", "books", "postcards", "marbles", "candles", "bolts", "melons",
    "pencils", "stamps", "tiles", "buttons", "biscuits", "bottles", "ribbons", "seedlings",
    "bricks", "medals", "notebooks",
)  # fmt: skip
CONTAINERS = ("boxes", "crates", "bags", "packs", "baskets", "trays", "cartons", "sacks")


def _combine(rng: Random, starts: tuple[str, ...], ends: tuple[str, ...], gap: str) -> list[str]:
    names = [f"{start}{gap}{end}" for start in starts for end in ends]
    rng.shuffle(names)
    return names


def town_names(rng: Random) -> list[str]:
    """Every possible town name, shuffled."""
    return _combine(rng, TOWN_STARTS, TOWN_ENDS, "")


def river_names(rng: Random) -> list[str]:
    """Every possible river name, shuffled."""
    return _combine(rng, RIVER_STARTS, RIVER_ENDS, "")


def person_names(rng: Random) -> list[str]:
    """Every possible full name, shuffled; first and last names recur on purpose."""
    return _combine(rng, FIRST_NAMES, LAST_NAMES, " ")


def company_names(rng: Random) -> list[str]:
    """Every possible company name, shuffled."""
    return _combine(rng, COMPANY_STARTS, COMPANY_ENDS, " ")


def book_names(rng: Random) -> list[str]:
    """Every possible book title, shuffled."""
    return [f"The {name}" for name in _combine(rng, BOOK_ADJECTIVES, BOOK_NOUNS, " ")]
