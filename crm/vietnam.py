"""Vietnam's two renumberings, for contact files that are older than they are.

Mobiles: the 11-digit numbers became 10-digit ones from 2018-09-15; the last seven digits stayed.
Landlines: area codes changed in three steps in 2017. Many an old landline, written with its old
code, is today the mobile of someone else. So an old code is replaced only where the digits as
they stand cannot be, and cannot have been meant as, a number of today; where they can, a person
has to decide. (Ministry of Information and Communications, number plan of 2014 and its amendments.)
"""

from __future__ import annotations

import re

_MOBILE_2018 = {
    **{f"16{n}": f"3{n}" for n in range(2, 10)},  # Viettel
    **{"120": "70", "121": "79", "122": "77", "126": "76", "128": "78"},  # MobiFone
    **{"123": "83", "124": "84", "125": "85", "127": "81", "129": "82"},  # VinaPhone
    **{"186": "56", "188": "58"},  # Vietnamobile
    **{"199": "59"},  # Gmobile
}

# fmt: off
_AREA_2017 = {
    "22": "212", "231": "213", "20": "214", "230": "215", "29": "216", "52": "232", "53": "233",
    "54": "234", "510": "235", "511": "236", "37": "237", "38": "238", "39": "239", "33": "203",
    "240": "204", "25": "205", "26": "206", "27": "207", "280": "208", "281": "209", "320": "220",
    "321": "221", "241": "222", "31": "225", "351": "226", "36": "227", "350": "228", "30": "229",
    "780": "290", "781": "291", "710": "292", "711": "293", "74": "294", "76": "296", "77": "297",
    "79": "299", "4": "24", "8": "28", "61": "251", "62": "252", "64": "254", "55": "255",
    "56": "256", "57": "257", "58": "258", "68": "259", "60": "260", "501": "261", "500": "262",
    "63": "263", "59": "269", "70": "270", "651": "271", "72": "272", "73": "273", "650": "274",
    "75": "275", "66": "276", "67": "277",
}
# fmt: on

_CURRENT_AREAS = set(_AREA_2017.values()) | {"210", "211", "218", "219"}  # these four stayed

# "(031) 382 1234", and "08 3822 1234" or "08-3822-1234": nobody writes a mobile so.
_AREA_APART = re.compile(r"\(0(\d\d?)\)|0(8)[ .-](?=\d{4}[ .-]?\d{4}$)")


def modern_mobile(national: str) -> str | None:
    """Give today's national number for an 11-digit mobile of before 2018, or None.

    `national` is without the trunk 0: ten digits for such a number.
    """
    new = _MOBILE_2018.get(national[:3])
    return new + national[3:] if new and len(national) == 10 else None


def modern_landline(national: str) -> str | None:
    """Give today's national number for a landline with an area code of before 2017, or None.

    Call it only for digits that are no valid number of today. None also where they may be a
    number of today that has lost a digit.
    """
    for length in (3, 2, 1):
        new = _AREA_2017.get(national[:length])
        subscriber = national[length:]
        if new and len(subscriber) == (8 if length == 1 else 7) and subscriber[0] in "235678":
            lost_a_digit = len(national) == 9 and national[:3] in _CURRENT_AREAS
            return None if lost_a_digit else new + subscriber
    return None


def written_as_old_landline(text: str) -> tuple[str, str] | None:
    """Give (old, new) area code where `text` sets an old code apart as landlines are written.

    With such a spelling a number that today is a valid mobile may be the landline it was.
    """
    match = _AREA_APART.match(text)
    old = (match[1] or match[2]) if match else ""
    return (old, _AREA_2017[old]) if old in _AREA_2017 else None
