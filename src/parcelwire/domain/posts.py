"""Posts by the last two letters of an S10 number (UPU): whose numbers they are.

The first two letters say what kind of mail it is; a post with several companies splits by them. A country
that is missing has no carrier code: its numbers are recognised, but there is nobody we could ask.
"""

from typing import NamedTuple

from parcelwire.domain.rules import Rule


class Post(NamedTuple):
    """One company of a post. ``first_for``: beginnings of numbers for which it comes before the others.

    ``share`` is log10 of its part of the other numbers.
    """

    carrier: str
    first_for: tuple[str, ...] = ()
    share: float = 0.0


ONE: dict[str, str] = {
    "AE": "emirates_post",
    "AF": "afghan_post",
    "AI": "anguilla_post",
    "AL": "albanian_post",
    "AM": "haypost",
    "AN": "antilles_post",
    "AR": "correo_argentino",
    "AT": "austrian_post",
    "AU": "australia_post",
    "AW": "aruba_post",
    "AX": "aland_post",
    "AZ": "azerpost",
    "BB": "barbados_post",
    "BD": "bangladesh_post",
    "BF": "sonapost",
    "BG": "bulgarian_post",
    "BI": "burundi_post",
    "BJ": "benin_post",
    "BM": "bermuda_post",
    "BN": "brunei_post",
    "BR": "correios_brazil",
    "BT": "bhutan_post",
    "BW": "botswana_post",
    "BY": "belpost",
    "BZ": "belize_post",
    "CA": "canada_post",
    "CH": "swiss_post",
    "CL": "correos_chile",
    "CM": "campost",
    "CO": "colombia_472",
    "CR": "correos_costa_rica",
    "CU": "correos_cuba",
    "CV": "correios_cabo_verde",
    "CY": "cyprus_post",
    "CZ": "ceska_posta",
    "DK": "postnord_denmark",
    "DO": "inposdom",
    "EC": "correos_ecuador",
    "EE": "omniva",
    "EG": "egypt_post",
    "ES": "correos_spain",
    "ET": "ethiopian_post",
    "FI": "posti",
    "FJ": "post_fiji",
    "FO": "posta_faroe",
    "FR": "la_poste",
    "GE": "georgian_post",
    "GH": "ghana_post",
    "GI": "gibraltar_post",
    "GL": "tusass_greenland",
    "GR": "elta",
    "GT": "correo_guatemala",
    "GY": "guyana_post",
    "HK": "hongkong_post",
    "HN": "honducor",
    "HR": "hrvatska_posta",
    "HU": "magyar_posta",
    "ID": "pos_indonesia",
    "IE": "an_post",
    "IL": "israel_post",
    "IN": "india_post",
    "IQ": "iraq_post",
    "IR": "iran_post",
    "IS": "iceland_post",
    "IT": "poste_italiane",
    "JE": "jersey_post",
    "JM": "jamaica_post",
    "JO": "jordan_post",
    "JP": "japan_post",
    "KE": "kenya_post",
    "KH": "cambodia_post",
    "KI": "kiribati_post",
    "KW": "kuwait_post",
    "KZ": "kazpost",
    "LB": "libanpost",
    "LC": "saint_lucia_post",
    "LK": "sri_lanka_post",
    "LS": "lesotho_post",
    "LT": "lietuvos_pastas",
    "LU": "post_luxembourg",
    "LV": "latvijas_pasts",
    "LY": "libya_post",
    "MA": "barid_al_maghrib",
    "MD": "posta_moldovei",
    "ME": "posta_crne_gore",
    "MG": "paositra_malagasy",
    "MK": "makedonska_posta",
    "ML": "mali_post",
    "MM": "myanmar_post",
    "MN": "mongol_post",
    "MO": "macau_post",
    "MT": "malta_post",
    "MV": "maldives_post",
    "MX": "correos_mexico",
    "MY": "pos_malaysia",
    "MZ": "correios_mocambique",
    "NA": "nampost",
    "NC": "opt_nouvelle_caledonie",
    "NG": "nipost",
    "NI": "correos_nicaragua",
    "NO": "posten_norge",
    "NP": "nepal_post",
    "NZ": "nz_post",
    "OM": "oman_post",
    "PA": "correos_panama",
    "PE": "serpost",
    "PG": "post_png",
    "PH": "phlpost",
    "PK": "pakistan_post",
    "PL": "poczta_polska",
    "PS": "palestine_post",
    "PT": "ctt_portugal",
    "PY": "correo_paraguayo",
    "QA": "qatar_post",
    "RO": "posta_romana",
    "RU": "russian_post",
    "RW": "iposita",
    "SA": "saudi_post",
    "SB": "solomon_post",
    "SC": "seychelles_post",
    "SD": "sudan_post",
    "SG": "singapore_post",
    "SI": "posta_slovenije",
    "SK": "slovenska_posta",
    "SM": "san_marino_post",
    "SN": "senegal_post",
    "SV": "correos_el_salvador",
    "TG": "togo_post",
    "TH": "thailand_post",
    "TN": "tunisia_post",
    "TO": "tonga_post",
    "TR": "ptt_turkey",
    "TT": "ttpost",
    "TV": "tuvalu_post",
    "TZ": "tanzania_post",
    "UA": "ukrposhta",
    "UG": "uganda_post",
    "US": "usps",
    "UY": "correo_uruguayo",
    "UZ": "uzbekistan_post",
    "VC": "svg_post",
    "VE": "ipostel",
    "VU": "vanuatu_post",
    "WS": "samoa_post",
    "XK": "posta_e_kosoves",
    "YE": "yemen_post",
    "YP": "yanwen",
    "ZA": "south_african_post",
    "ZM": "zampost",
    "ZW": "zimpost",
}

SEVERAL: dict[str, tuple[Post, ...]] = {
    "BA": (Post("bh_posta"), Post("hp_mostar", (), -1)),
    "BE": (Post("bpost"), Post("bpost_international", (), -1)),
    "CN": (Post("china_post"), Post("china_ems", ("E",), -1.2)),
    "DE": (Post("deutsche_post"), Post("dhl_paket", ("C", "E"), -1.2)),
    "DZ": (Post("algerie_poste"), Post("algeria_ems", ("E",), -1.2)),
    "FR": (Post("la_poste"), Post("chronopost", ("X",), -1.5)),
    "GB": (Post("royal_mail"), Post("parcelforce", ("E", "CP", "PB"), -1.5)),
    "KG": (Post("kyrgyz_post"), Post("kyrgyz_express_post", (), -1)),
    "KR": (Post("korea_post"), Post("korea_post_domestic", (), -1.2)),
    "LA": (Post("lao_post"), Post("lao_post_apl", (), -1)),
    "MU": (Post("mauritius_post"), Post("mailamericas", (), -1)),
    "NL": (Post("postnl"), Post("postnl_international", (), -0.2)),
    "RS": (Post("posta_srbije"), Post("poste_srpske", (), -1.5)),
    "SE": (Post("postnord_sweden"), Post("direct_link", (), -1)),
    "TW": (Post("chunghwa_post"), Post("chunghwa_post_domestic", (), -1.5)),
    "VN": (Post("vietnam_post"), Post("vietnam_ems", ("E",), -1.2)),
}

S10 = "service:a2 serial:d8 d country:a2"
_COMMON = 4.8
"""Prior of a post's numbers; it includes what the two letters of the country tell (2.8)."""

UNASSIGNED = "JKSTW"
"""First letters that the UPU reserves. Numbers with them exist, but prove nothing."""


def posts_of(head: str, country: str) -> tuple[Post, ...]:
    """The companies of a post for numbers that begin with two letters, the likeliest first."""
    if country in ONE:
        return (Post(ONE[country]),)
    posts = SEVERAL.get(country, ())
    for post in posts:
        if head.startswith(post.first_for):
            others = [other._replace(share=other.share - 1.2) for other in posts if other is not post]
            return (post._replace(share=0.0), *others)
    return posts


def s10_rules(head: str, country: str) -> tuple[Rule, ...]:
    """The rules for S10 numbers that begin with two letters and end with a country; none without a post."""
    prior, proof = (_COMMON, "A") if head[0] not in UNASSIGNED else (_COMMON - 4, "G")
    sample = f"{head}123456785{country}"
    return tuple(
        Rule(
            "s10",
            post.carrier,
            S10,
            prior + post.share,
            proof,
            sample,
            sample.replace("5", "6"),
            check="s10",
        )
        for post in posts_of(head, country)
    )
