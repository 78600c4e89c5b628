"""Ranges of telephone numbers that cost the caller much, for the rules of `[access]`.

A considered list, not an official one: check it against your provider's tariff. No such list is ever complete, and some
countries have premium numbers within ordinary ranges. The limits hold for what is missing here.
"""

from __future__ import annotations

from typing import Final

SATELLITE: Final = (
    "+870",  # Inmarsat
    "+881",  # global mobile satellite systems: Iridium, Globalstar
    "+882", "+883",  # international networks: Thuraya, maritime and airborne mobile networks, machines
)  # fmt: skip
"""Satellite telephones and international networks."""

PREMIUM: Final = (
    "+979",  # international premium rate service
    "+808",  # international shared cost service
    "+878",  # universal personal telecommunication
    "+1900",  # North America
    "+3090",  # Greece
    "+31900", "+31906", "+31909",  # Netherlands
    "+3290",  # Belgium
    "+3389",  # France
    "+34803", "+34806", "+34807", "+34905", "+34907",  # Spain
    "+35990",  # Bulgaria
    "+358600", "+358700",  # Finland
    "+3690",  # Hungary
    "+38690",  # Slovenia
    "+3989",  # Italy
    "+4090",  # Romania
    "+41900", "+41901", "+41906",  # Switzerland
    "+42090",  # Czechia
    "+421900",  # Slovakia
    "+43900", "+43901", "+43930", "+43931", "+43939",  # Austria
    "+449", "+4470", "+44871", "+44872", "+44873",  # United Kingdom
    "+4590",  # Denmark
    "+46900", "+46939", "+46944",  # Sweden
    "+4782",  # Norway
    "+4870",  # Poland
    "+49900", "+49190", "+49137", "+49118",  # Germany
    "+61190",  # Australia
    "+64900",  # New Zealand
    "+7809",  # Russia
    "+81990",  # Japan
    "+90900",  # Türkiye
    "0900", "0190",  # as they are dialled, where `country` is not set
)  # fmt: skip
"""Premium rates: what is called pays the callee."""

RANGES: Final = {"premium": PREMIUM, "satellite": SATELLITE}
"""The prefixes of each range, by the word that stands for it."""
