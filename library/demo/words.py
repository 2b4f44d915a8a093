"""What demo titles and names are made of: invented, and in letters that the font of the drawn covers has."""

from __future__ import annotations

CATEGORIES = {
    "Adventure": ("Harbour", "Compass", "Island", "Caravan", "Expedition", "Strait", "Storm", "Reef"),
    "Biography": (
        "Violinist",
        "Surgeon",
        "Printer",
        "Aviator",
        "Gardener",
        "Diplomat",
        "Painter",
        "Clockmaker",
    ),
    "Children": ("Hedgehog", "Kite", "Lantern", "Puddle", "Snowman", "Button", "Rocket", "Treehouse"),
    "Cooking": ("Kitchen", "Orchard", "Bakery", "Spice Market", "Supper", "Garden Table", "Oven", "Larder"),
    "Crime": ("Alibi", "Witness", "Ledger", "Verdict", "Locked Room", "Forger", "Inspector", "Night Train"),
    "Fantasy": ("Dragon", "Ember Crown", "Wanderer", "Moonstone", "Silver Wood", "Oath", "Tower", "Raven"),
    "History": ("Empire", "Treaty", "Siege", "Railway", "Guild", "Lighthouse", "Parliament", "Archive"),
    "Nature": ("River", "Heath", "Owl", "Tideline", "Forest", "Meadow", "Glacier", "Swallow"),
    "Philosophy": ("Question", "Silence", "Paradox", "Good Life", "Mirror", "Argument", "Doubt", "Horizon"),
    "Poetry": ("Evening", "Salt", "Letters", "Winter Light", "Threshold", "Echo", "Blue Hour", "Rain"),
    "Science": ("Atom", "Cell", "Telescope", "Equation", "Microscope", "Magnet", "Comet", "Experiment"),
    "Travel": ("Night Ferry", "Mountain Pass", "Border", "Old Road", "Bazaar", "Hostel", "Desert", "Coast"),
}
PATTERNS = (
    "The {adjective} {noun}",
    "The {noun} of {place}",
    "{noun} and {other}",
    "{season} {noun}",
    "Beyond the {noun}",
    "The {noun} at {place}",
    "The Last {noun}",
    "My {adjective} {noun}",
)
ADJECTIVES = (
    "Amber", "Borrowed", "Crooked", "Distant", "Forgotten", "Gentle", "Hidden", "Invisible",
    "Little", "Patient", "Quiet", "Restless", "Secret", "Unfinished", "Wandering", "Wild",
)  # fmt: skip
PLACES = (
    "Alder Bay", "Brannoch", "Calvera", "Dunmere", "Elmstead", "Farrow Hill", "Grunau", "Hollin",
    "Isola Verde", "Juniper Street", "Kestrel Point", "Lindqvist House", "Marrow Lane", "Norreby",
)  # fmt: skip
SEASONS = ("Spring", "Summer", "September", "Winter", "Midnight", "Sunday")
FIRST_NAMES = (
    "Ada", "Bruno", "Clara", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kamala",
    "Leo", "Mirela", "Noor", "Otis", "Paula", "Quentin", "Rosa", "Sven", "Tamar", "Yusuf", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Abendroth", "Barlow", "Castellan", "Draghici", "Eriksen", "Fontaine", "Gallowey", "Haddad",
    "Ishikawa", "Jansen", "Kowal", "Lindstrom", "Moreau", "Nakata", "Okoye", "Petrov", "Quill", "Rossi",
)  # fmt: skip
DESCRIPTIONS = (
    "Nobody expected the {noun} to matter. When it does, a whole town has to decide what it remembers.",
    "A {adjective} book about a {noun}, and about the people who never stopped asking where it came from.",
    "Three summers, two letters and one {noun}: a story told backwards, with great warmth.",
    "What begins as a note in the margin ends in {place}, where the {noun} is still waiting.",
    "Clear, funny and exact: the book on the {noun} that its readers lend to everyone they like.",
)
