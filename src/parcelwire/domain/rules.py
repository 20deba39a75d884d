"""The rules of detection, as data: one line is one number format of one carrier.

Sources: the carriers' own documents and public rule collections, each weighed by ``proof``. Posts that use the
UPU's S10 form are not here but in posts.py. To add a carrier, add its lines: the tests prove every sample and
that no format steals another's numbers, and the documentation page is generated from here.
"""
# ruff: noqa: E501 - a rule is one line, so that a change of it is one line too

from typing import NamedTuple


class Rule(NamedTuple):
    """One number format.

    ``format`` is in the language of formats.py. ``prior`` is log10 of how common such numbers are, against other
    rules; a rule of prior 0 is rare. ``proof``: A the carrier's own text or several published numbers, B one
    independent source, C one source unchecked, G a guess. ``valid`` fits, ``invalid`` does not or has a wrong
    check digit. ``check`` names a function of numbers.CHECKS. ``country`` is ISO 3166 alpha-2 of a national
    carrier. ``partner_of`` is the carrier that delivers these parcels: it comes first. ``rivals`` are carriers
    that may rank above this one on its own sample because the formats overlap.
    """

    id: str
    carrier: str
    format: str
    prior: float
    proof: str
    valid: str
    invalid: str
    check: str = ""
    country: str = ""
    partner_of: str = ""
    rivals: tuple[str, ...] = ()


NOBODY = ""
"""The carrier of numbers that must stay undetected."""

# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("sandbox", "sandbox", "SANDBOX a0-30 d0-13", 6, "A", "SANDBOXJOURNEY7", "SANDBOX7A"),
    Rule("sandbox_ambiguous", NOBODY, "SANDBOXAMBIGUOUS d0-34", 6, "A", "SANDBOXAMBIGUOUS", "SANDBOXAMBIGUOUSA"),
    # UPS
    Rule("ups_1z", "ups", "1Z | shipper:x6 service:x2 package:x7 d", 3, "A", "1Z2BA428139CG06962", "1Z2BA428139CG06963", check="ups"),
    Rule("ups_waybill", "ups", "[AFHJKMQTVW] | d9 d", 0, "B", "J1765213842", "J1765213843", check="ups"),
    Rule("ups_mail_innovations", "ups_mail_innovations", "MI mailer:d6 x1-22", 0, "B", "MI208438X30411", "MI208438", country="US"),
    Rule("ups_mail_innovations_usps", "ups_mail_innovations", "| 92(748|419|612) d16 d", 0, "B", "9274899902852000044615", "9274899902852000044616", check="gs1", partner_of="usps", rivals=("fedex",)),
    Rule("ups_mail_innovations_usps_26", "ups_mail_innovations", "| 92(748|419|612) d20 d", 0, "B", "92748999028520000446187327", "92748999028520000446187328", check="gs1", partner_of="usps"),
    Rule("ups_infonotice", "ups", "d12", -0.5, "A", "620817394405", "62081739440"),
    Rule("ups_nine", "ups", "d9", -0.4, "A", "990817264", "99081726"),
    Rule("tforce_freight", "tforce_freight", "d9", -1, "A", "640817264", "64081726", country="US"),
    # USPS
    Rule("usps_92", "usps", "| 92 service:d3 mailer:d9 serial:d7 d", 3, "A", "9205599008123450000189", "9205599008123450000180", check="gs1"),
    Rule("usps_92_26", "usps", "| 92 service:d3 mailer:d9 serial:d11 d", 3, "A", "92055990081234500001800436", "92055990081234500001800437", check="gs1"),
    Rule("usps_93", "usps", "| 93 service:d3 mailer:d6 serial:d10 d", 3, "A", "9300123456789000033218", "9300123456789000033219", check="gs1"),
    Rule("usps_93_26", "usps", "| 93 service:d3 mailer:d6 serial:d14 d", 3, "A", "93001234567890000332100770", "93001234567890000332100771", check="gs1"),
    Rule("usps_94", "usps", "| 94 service:d3 serial:d16 d", 3, "A", "9405508995632123450789", "9405508995632123450780", check="gs1"),
    Rule("usps_94_26", "usps", "| 94 service:d3 serial:d20 d", 2, "A", "94055089956321234507800610", "94055089956321234507800611", check="gs1"),
    Rule("usps_94_30", "usps", "| 94 service:d3 serial:d24 d", 2, "A", "940550899563212345078006122330", "940550899563212345078006122331", check="gs1"),
    Rule("usps_95", "usps", "| 95 service:d3 serial:d16 d", 3, "A", "9505114067131234567891", "9505114067131234567892", check="gs1"),
    Rule("usps_95_26", "usps", "| 95 service:d3 serial:d20 d", 2, "A", "95051140671312345678901237", "95051140671312345678901238", check="gs1"),
    Rule("usps_91", "usps", "| 91 service:d2 mailer:d9 serial:d8 d", 1, "A", "9108027133315088234116", "9108027133315088234117", check="gs1"),
    Rule("usps_91_short", "usps", "service:(01|02|03|04|05|06|07|08|14|21|22|23|24|25|26|34|50|56|70|71|72|73|82|83|85) mailer:d9 serial:d8 d", 0.3, "A", "71802713331508823417", "71802713331508823418", check="gs1 after 91"),
    Rule("usps_20", "usps", "| service:(01|02|03|04|05|06|07|08|14|21|22|23|24|25|26|34|50|56|70|71|72|73|82|83|85) mailer:d9 serial:d8 d", 1, "A", "71160051890012345670", "71160051890012345671", check="gs1"),
    Rule("usps_zip5", "usps", "420 zip:d5 | 9[1-5] d19 d", 2, "A", "420200819112990811489839041115", "420200819112990811489839041116", check="gs1"),
    Rule("usps_zip9", "usps", "420 zip:d9 | 9[1-5] d19 d", 1.5, "A", "4204567407979573750591159266619862", "4204567407979573750591159266619863", check="gs1"),
    Rule("usps_zip5_26", "usps", "420 zip:d5 | 9[2-5] d23 d", 1.5, "A", "4204045995327875509403618712955599", "4204045995327875509403618712955590", check="gs1"),
    Rule("usps_zip9_26", "usps", "420 zip:d9 | 9[2-5] d23 d", 1, "A", "42061270878095870287068517164076144675", "42061270878095870287068517164076144676", check="gs1"),
    Rule("usps_zip5_30", "usps", "420 zip:d5 | 94 d27 d", 1, "A", "42054166948183200868017001693850465989", "42054166948183200868017001693850465980", check="gs1"),
    Rule("usps_gxg", "usps", "82 d8", -1.5, "C", "8214076635", "821407663"),
    # FedEx
    Rule("fedex_express", "fedex", "| d11 d", 3, "A", "612999944200", "612999944201", check="fx12"),
    Rule("fedex_ground", "fedex", "| d14 d", 2, "A", "020712345501183", "020712345501184", check="left13"),
    Rule("fedex_ground_economy", "fedex", "(02|61|58|74|41) d17 d", 1.5, "A", "61290988123456700433", "61290988123456700434", check="gs1 after 92"),
    Rule("fedex_ground_economy_other", "fedex", "d19 d", 0, "A", "90240988123456700430", "90240988123456700431", check="gs1 after 92"),
    Rule("fedex_ground_economy_old", "fedex", "d19 d", -0.5, "A", "90240988123456700189", "90240988123456700180", check="gs1 after 91"),
    Rule("fedex_ground_economy_usps", "fedex", "| 92(02|61|58|74|41) d17 d", 1, "A", "9261290988123456700433", "9261290988123456700434", check="gs1", partner_of="usps", rivals=("dhl_ecommerce_us",)),
    Rule("fedex_ground_96", "fedex", "96 d5 | d14 d", 1, "A", "9618223226892110671234", "9618223226892110671235", check="left13"),
    Rule("fedex_express_96", "fedex", "96 d8 | d11 d", 0.8, "A", "9686084337942534530981", "9686084337942534530982", check="fx12"),
    Rule("fedex_barcode_34", "fedex", "d20 | 00 d11 d", 1, "A", "9503937207590165199900891628221021", "9503937207590165199900891628221022", check="fx14"),
    Rule("fedex_barcode_96", "fedex", "96 d18 | d13 d", 1, "A", "9695643776272404851576311148694979", "9695643776272404851576311148694970", check="fx14"),
    Rule("fedex_astra", "fedex", "3 d15 | d11 d | d4", 1, "A", "34243204343355054170405433601387", "34243204343355054170405433611387", check="fx12"),
    Rule("fedex_sscc", "fedex", "| (00|01|02|04) d15 d", 0, "B", "004415972256684098", "004415972256684099", check="gs1"),
    Rule("fedex_door_tag", "fedex", "DT | d11 d", 0, "B", "DT884358723097", "DT884358723098", check="fx12"),
    # DHL
    Rule("dhl_express", "dhl_express", "| d9 d", 2.5, "A", "5124088174", "5124088175", check="mod7"),
    Rule("dhl_express_11", "dhl_express", "| d10 d", 0, "B", "51240881731", "51240881732", check="mod7"),
    Rule("dhl_express_piece", "dhl_express", "JJD 0[01] d8-16", 1, "A", "JJD014600251180", "JJD014600251"),
    Rule("dhl_express_jvgl", "dhl_express", "JVGL d8-16", 1, "A", "JVGL0612345678", "JVGL0612345"),
    Rule("dhl_express_000", "dhl_express", "000 d8-17", -1, "G", "00061234567", "0006123456"),
    Rule("dhl_paket", "dhl_paket", "| 003404 d13 d", 2.5, "A", "00340434161200045670", "00340434161200045671", check="gs1", country="DE"),
    Rule("dhl_paket_identcode", "dhl_paket", "| d11 d", 1.5, "A", "212408166005", "212408166006", check="ident49", country="DE"),
    Rule("dhl_paket_jjd", "dhl_paket", "JJD d12-13", 1, "B", "JJD390012345678", "JJD39001234567", country="DE"),
    Rule("dhl_paket_jd", "dhl_paket", "JD d18", 1, "B", "JD014600002711905431", "JD01460000271190543", country="DE"),
    Rule("dhl_paket_piece", "dhl_paket", "JJD 0[01] d8-16", 0.5, "B", "JJD01460025118044", "JJD014600251", country="DE", rivals=("dhl_express",)),
    Rule("dhl_ecommerce", "dhl_ecommerce_us", "GM d8-20", 1.3, "A", "GM60511234500", "GM6051123"),
    Rule("dhl_ecommerce_letters", "dhl_ecommerce_us", "GM a1-5 d8-30", 1.3, "A", "GMLX0600112233", "GMLX060011"),
    Rule("dhl_ecommerce_other", "dhl_ecommerce_us", "GM x8-37", 0.3, "A", "GM6A4B5C11234", "GM6A4B5C-1"),
    Rule("dhl_ecommerce_asia", "dhl_ecommerce_asia", "GM d8-20", 0.5, "A", "GM60511234501", "GM6051123", rivals=("dhl_ecommerce_us",)),
    Rule("dhl_ecommerce_china", "dhl_ecommerce_cn", "GM d8-20", 0.2, "A", "GM60511234502", "GM6051123", country="CN", rivals=("dhl_ecommerce_us",)),
    Rule("dhl_ecommerce_14", "dhl_ecommerce_asia", "(51|60) d12", -0.5, "B", "51240800112233", "5124080011223"),
    Rule("dhl_ecommerce_usps_93", "dhl_ecommerce_us", "| 9361269 d14 d", 0, "B", "9361269903123456789012", "9361269903123456789013", check="gs1", partner_of="usps"),
    Rule("dhl_ecommerce_usps_92", "dhl_ecommerce_us", "| 9261290 d14 d", 0, "B", "9261290903123456789017", "9261290903123456789018", check="gs1", partner_of="usps"),
    Rule("dhl_ecommerce_usps_94", "dhl_ecommerce_us", "| 94748 d16 d", 0, "B", "9474809903123456789013", "9474809903123456789014", check="gs1", partner_of="usps"),
    Rule("dhl_parcel_nl", "dhl_parcel_nl", "3S a4 d9", 1, "A", "3SQWTA004411827", "3SQWTA00441182", country="NL", rivals=("postnl",)),
    Rule("dhl_parcel_uk", "dhl_parcel_uk", "JD d16", 0, "B", "JD0003331112224445", "JD000333111222444", country="GB", rivals=("yodel", "inpost_uk")),
    Rule("dhl_parcel_pl", "dhl_parcel_pl", "d11", 0, "B", "28440917750", "2844091775", country="PL"),
    Rule("dhl_forwarding_7", "dhl_global_forwarding", "d7", -2, "A", "4408172", "440817"),
    Rule("dhl_forwarding_house", "dhl_global_forwarding", "d a2 d5", -2, "A", "7KR40817", "7KR4081"),
    Rule("dhl_forwarding_order", "dhl_global_forwarding", "a3 d6", -2, "A", "HAM408172", "HAM40817"),
    Rule("dhl_forwarding_air", "dhl_global_forwarding", "d3 - d8", 0, "A", "172-40817264", "172-4081726"),
    Rule("dhl_freight_code", "dhl_freight", "a3 - a2 - d7", 0, "A", "STR-DE-4081726", "STR-DE-408172"),
    Rule("dhl_freight_order", "dhl_freight", "d4 - d5", 0, "A", "1724-40817", "1724-4081"),
    Rule("dhl_freight_9", "dhl_freight", "d9", -1.5, "A", "172440817", "17244081"),
    # DPD, GLS, Hermes, British and other European carriers
    Rule("dpd", "dpd_de", "| parcel:d14 x", 1.5, "A", "09446003000123J", "09446003000123A", check="mod3736"),
    Rule("dpd_unchecked", "dpd_de", "d14", 0.5, "B", "09446003000177", "0944600300017"),
    Rule("dpd_label", "dpd_de", "| zip:x7 parcel:d14 service:d3 country:d3 x", 1.5, "A", "JH25H20473362096948186843924", "JH25H20473362096948186843925", check="mod3736"),
    Rule("gls", "gls", "| d11 d", 0.5, "B", "408172644005", "408172644006", check="gls"),
    Rule("gls_11", "gls", "d11", 0.4, "B", "40817264401", "4081726440"),
    Rule("gls_track_id", "gls", "[YZ] x7", -0.3, "B", "Z4K8172Q", "Z4K8172"),
    Rule("hermes_de", "hermes_de", "H d19", 1, "B", "H1002790408172644001", "H100279040817264400", country="DE"),
    Rule("hermes_de_14", "hermes_de", "| d13 d", 1, "B", "04081726440017", "04081726440018", check="gs1", country="DE"),
    Rule("evri", "evri", "[HTCPE] x5 d10", 1, "C", "H02AB81234567890", "H02AB8123456789", country="GB"),
    Rule("evri_card", "evri", "d8", -1, "A", "40817264", "4081726", country="GB"),
    Rule("yodel_jd", "yodel", "JD d16", 1.3, "B", "JD0002288811100044", "JD000228881110004", country="GB"),
    Rule("yodel_jjd", "yodel", "JJD d16", 2.4, "B", "JJD0002288811100044", "JJD000228881110004", country="GB"),
    Rule("yodel_8", "yodel", "8 a3 d9", 0, "B", "8ABC408172644", "8ABC40817264", country="GB"),
    Rule("inpost_uk", "inpost_uk", "JD d16", 0.4, "B", "JD0002288811100051", "JD000228881110005", country="GB", rivals=("yodel",)),
    Rule("inpost_uk_jjd", "inpost_uk", "JJD d16", 1.5, "B", "JJD0002288811100051", "JJD000228881110005", country="GB", rivals=("yodel", "dhl_express")),
    Rule("inpost_pl", "inpost_pl", "[56] d23", 0.5, "C", "620081726440018172644001", "62008172644001817264400", country="PL"),
    Rule("royal_mail_item", "royal_mail", "h21", -1, "A", "0B04817264400181726F1", "0B04817264400181726F", country="GB"),
    Rule("parcelforce_2", "parcelforce", "a2 d7", -0.5, "A", "PB4081726", "PB408172", country="GB"),
    Rule("parcelforce_4", "parcelforce", "a4 d10", 0, "A", "PBTM4081726440", "PBTM408172644", country="GB"),
    Rule("parcelforce_12", "parcelforce", "d12", -1, "A", "408172644002", "40817264400", country="GB"),
    Rule("postnl", "postnl", "3S a1-5 d6-9", 1.5, "A", "3SABCD4408172", "3SABCD44", country="NL"),
    Rule("postnl_13", "postnl", "3S a4 d9", 1.5, "A", "3SQWTA440817264", "3SQWTA44081726", country="NL"),
    Rule("bpost_18", "bpost", "3232 d14", 0.5, "C", "323201234567890123", "32320123456789012", country="BE"),
    Rule("bpost_24", "bpost", "3232 d20", 0.5, "C", "323201234567890123456789", "32320123456789012345678", country="BE"),
    Rule("austrian_post", "austrian_post", "10 d20", 0, "C", "1040817264400181726440", "104081726440018172644", country="AT"),
    Rule("postnord_sweden", "postnord_sweden", "d11 SE", 0.5, "C", "40817264400SE", "40817264400S", country="SE"),
    Rule("swiss_post", "swiss_post", "9[89] d16", 0.7, "C", "993408172644001817", "99340817264400181", country="CH"),
    Rule("la_poste", "la_poste", "d a d11", 0.5, "C", "6A40817264400", "6A4081726440", country="FR"),
    Rule("chronopost_15", "chronopost", "d14 a", 0, "C", "40817264400181X", "40817264400181", country="FR"),
    Rule("chronopost_14", "chronopost", "d14", -0.7, "C", "89408172644001", "8940817264400", country="FR"),
    Rule("deutsche_post_registered", "deutsche_post", "| R a d9 DE | product:d3", 0, "C", "RG418273646DE001", "RG418273647DE001", check="s10", country="DE"),
    Rule("packeta", "packeta", "Z d10", 0.8, "A", "Z4081726440", "Z408172644"),
    Rule("zasilkovna", "zasilkovna", "Z d10", 0, "A", "Z4081726441", "Z408172644", country="CZ", rivals=("packeta",)),
    Rule("poczta_polska", "poczta_polska", "PX d10", 0.7, "C", "PX4081726440", "PX408172644", country="PL"),
    Rule("poczta_polska_20", "poczta_polska", "d20", -1, "C", "65908172644001817264", "6590817264400181726", country="PL"),
    Rule("nova_poshta", "nova_poshta", "(59|20) d12", 0.7, "C", "20450817264400", "2045081726440", country="UA"),
    Rule("nova_poshta_global", "nova_poshta_global", "NP[GI] x14", 0.5, "C", "NPI40817264400181", "NPI4081726440018", country="UA"),
    Rule("ukrposhta", "ukrposhta", "0 d12", 0.3, "C", "0408172644001", "040817264400", country="UA"),
    Rule("russian_post", "russian_post", "| office:d6 month:d2 serial:d5 d", 0, "B", "63000804408179", "63000804408178", check="ru14", country="RU", rivals=("hermes_de",)),
    Rule("brt", "brt", "d14", -1, "C", "17240817264400", "1724081726440", country="IT"),
    Rule("seur", "seur", "d14", -1, "C", "18240817264400", "1824081726440", country="ES"),
    Rule("correos_express", "correos_express", "d16", -0.5, "C", "6340817264400182", "634081726440018", country="ES"),
    Rule("ctt_express", "ctt_express", "00 d20", -0.2, "C", "0040817264400181726440", "004081726440018172644", country="ES"),
    Rule("tipsa", "tipsa", "d10", -1, "C", "4081726441", "408172644", country="ES"),
    # North America
    Rule("amazon", "amazon_us", "TB[A-DM] d12", 2, "B", "TBA308172644001", "TBA30817264400"),
    Rule("amazon_letter", "amazon_us", "[ACF] d10", -0.5, "C", "A4081726440", "A408172644"),
    Rule("swiship", "swiship", "TB[A-DM] d12", 0.3, "C", "TBA308172644002", "TBA30817264400", rivals=("amazon_us",)),
    Rule("ontrac", "ontrac", "| [CD] d13 d", 1, "A", "C11012345678908", "C11012345678909", check="ontrac", country="US"),
    Rule("lasership", "lasership", "L a d8", 0.5, "B", "LW40817264", "LW4081726", country="US"),
    Rule("lasership_1ls", "lasership", "1LS d12-17", 0.5, "B", "1LS724081726440", "1LS72408172644", country="US"),
    Rule("lasership_piece", "lasership", "1LS d12-17 - d", 0.5, "B", "1LS724081726440-1", "1LS724081726440-", country="US"),
    Rule("lasership_q", "lasership", "Q d8 a", 0, "B", "Q40817264C", "Q40817264", country="US"),
    Rule("canada_post", "canada_post", "| origin:d7 serial:d8 d", 2, "A", "1004081726440014", "1004081726440015", check="gs1", country="CA"),
    Rule("purolator", "purolator", "| [0-5] d10 d", 0.5, "B", "334081726443", "334081726444", check="luhn", country="CA"),
    Rule("purolator_letters", "purolator", "a3 d9", 0, "B", "KDX408172644", "KDX40817264", country="CA"),
    Rule("canpar", "canpar", "[CDKLSUXZ] d21", 0.5, "B", "D408172644001817264400", "D40817264400181726440", country="CA"),
    Rule("spee_dee", "spee_dee", "SP d18", 0.3, "B", "SP024081726440018172", "SP02408172644001817", country="US"),
    Rule("gofo", "gofo", "GFUS d14", 0.5, "B", "GFUS01040817264400", "GFUS0104081726440", country="US"),
    Rule("landmark_global", "landmark_global", "LTN d8-9 N d", 0.5, "B", "LTN40817264N1", "LTN40817264N"),
    Rule("speedx", "speedx", "SPX a3 d12", 0.5, "B", "SPXDAL408172644001", "SPXDAL40817264400", country="US"),
    Rule("uniuni", "uniuni", "UUS x16", 0.5, "B", "UUS50P0408172644001", "UUS50P040817264400"),
    Rule("old_dominion", "old_dominion", "| (777|778|072|780) d7 d", 0, "B", "77840817264", "77840817265", check="luhn", country="US"),
    Rule("old_dominion_80", "old_dominion", "| 80 d8 d", -0.3, "B", "80240817264", "80240817265", check="luhn", country="US"),
    Rule("estafeta", "estafeta", "d10", -0.6, "C", "4081726442", "408172644", country="MX"),
    Rule("estafeta_22", "estafeta", "d22", -1, "C", "3050817264400181726440", "305081726440018172644", country="MX"),
    # Asia and the Pacific
    Rule("cainiao_lp", "cainiao", "LP d14", 1, "C", "LP00408172644001", "LP0040817264400", country="CN"),
    Rule("cainiao_lp_15", "cainiao", "LP d15", 0.5, "C", "LP004081726440015", "LP0040817264400X5", country="CN"),
    Rule("cainiao_cn", "cainiao", "CN a4 d8-11", 0.5, "C", "CNUSUP40817264", "CNUSUP4081726", country="CN"),
    Rule("cainiao_cng", "cainiao", "CNG d14", 0.5, "C", "CNG00408172644001", "CNG0040817264400", country="CN"),
    Rule("yunexpress", "yunexpress", "YT d16", 1.5, "B", "YT2540817264400181", "YT254081726440018", country="CN"),
    Rule("yto", "yto", "YT d13", 0.5, "B", "YT4081726440018", "YT408172644001", country="CN"),
    Rule("yto_d", "yto", "D d11", -0.5, "B", "D40817264400", "D4081726440", country="CN"),
    Rule("yanwen", "yanwen", "BYS d9", 0, "B", "BYS408172644", "BYS40817264", country="CN"),
    Rule("four_px", "four_px", "4PX d13 CN", 1, "B", "4PX4081726440018CN", "4PX4081726440018C", country="CN"),
    Rule("sf_express", "sf_express", "SF d13", 1, "B", "SF4081726440018", "SF408172644001", country="CN"),
    Rule("sf_express_12", "sf_express", "d12", 0.3, "B", "408172644003", "40817264400", country="CN"),
    Rule("jt_express_cn", "jt_express_cn", "JT d13", 1, "C", "JT4081726440018", "JT408172644001", country="CN"),
    Rule("jd_logistics", "jd_logistics", "JDV a d11", 0.8, "C", "JDVB40817264400", "JDVB4081726440", country="CN"),
    Rule("jd_logistics_x", "jd_logistics", "JD[KX] d12", 0.8, "C", "JDX408172644001", "JDX40817264400", country="CN"),
    Rule("jd_logistics_vg", "jd_logistics", "VG d11", 0.3, "C", "VG40817264400", "VG4081726440", country="CN"),
    Rule("deppon", "deppon", "DPK d12", 0.8, "C", "DPK408172644001", "DPK40817264400", country="CN"),
    Rule("sto_14", "sto", "77 d12-13", 0.5, "C", "77408172644001", "7740817264400", country="CN"),
    Rule("sto_12", "sto", "d 68 d9", -0.3, "C", "468817264401", "46881726440", country="CN"),
    Rule("zto_12", "zto", "7[358] d10", 0, "C", "758172644001", "75817264400", country="CN"),
    Rule("zto_14", "zto", "7[358] d12", 0.2, "C", "75817264400181", "7581726440018", country="CN"),
    Rule("yunda_13", "yunda", "d13", -0.3, "C", "3408172644001", "340817264400", country="CN"),
    Rule("yunda_15", "yunda", "[34] d14", 0, "C", "340817264400181", "34081726440018", country="CN"),
    Rule("china_post_1", "china_post", "1[0-2] d11", 0.5, "C", "1140817264400", "114081726440", country="CN"),
    Rule("china_post_4", "china_post", "4 d12", 0, "C", "4140817264400", "414081726440", country="CN"),
    Rule("china_post_5", "china_post", "5[0-2] d11", 0.3, "C", "5140817264400", "514081726440", country="CN"),
    Rule("china_post_9", "china_post", "9[5-9] d11", 0.5, "C", "9840817264400", "984081726440", country="CN"),
    Rule("china_ems_1", "china_ems", "1[0-2] d11", 0.2, "C", "1140817264401", "114081726440", country="CN", rivals=("china_post",)),
    Rule("china_ems_4", "china_ems", "4 d12", -0.3, "C", "4140817264401", "41408172644", country="CN", rivals=("china_post",)),
    Rule("china_ems_5", "china_ems", "5[0-2] d11", 0, "C", "5140817264401", "514081726440", country="CN", rivals=("china_post",)),
    Rule("china_ems_9", "china_ems", "9[5-9] d11", 0.2, "C", "9840817264401", "98408172644", country="CN", rivals=("china_post",)),
    Rule("yamato", "yamato", "| d11 d", 1, "A", "408172644014", "408172644015", check="mod7", country="JP"),
    Rule("sagawa", "sagawa", "| d11 d", 0.8, "A", "408172644025", "408172644026", check="mod7", country="JP", rivals=("yamato",)),
    Rule("japan_post", "japan_post", "| d11 d", 0.5, "A", "440817264403", "440817264404", check="mod7", country="JP", rivals=("yamato", "sagawa")),
    Rule("japan_post_11", "japan_post", "| d10 d", -0.3, "A", "40817264401", "40817264402", check="mod7", country="JP", rivals=("dhl_express",)),
    Rule("sunyou", "sunyou", "SY a2 d9", 0.3, "G", "SYAE408172644", "SYAE40817264", country="CN"),
    Rule("pos_malaysia", "pos_malaysia", "MYPM d11", 0.5, "C", "MYPM40817264400", "MYPM4081726440", country="MY"),
    Rule("ninja_van", "ninja_van", "NV a2 x10-16", 0.5, "C", "NVSGQ408172644", "NVSGQ40817264"),
    Rule("blue_dart", "blue_dart", "d11", -0.3, "C", "50817264401", "5081726440", country="IN"),
    Rule("delhivery_13", "delhivery", "d13", -0.5, "C", "2408172644001", "240817264400", country="IN"),
    Rule("delhivery_14", "delhivery", "d14", -0.5, "C", "24081726440018", "2408172644001", country="IN"),
    Rule("dtdc", "dtdc", "a d8", -0.3, "C", "B40817264", "B4081726", country="IN"),
    Rule("aramex", "aramex", "d10-12", -0.5, "C", "4081726443", "408172644"),
    Rule("tnt", "tnt", "d9", -0.5, "C", "640817265", "64081726"),
    Rule("australia_post", "australia_post", "x3 1000 d9", 0.3, "B", "7QK1000408172644", "7QK100040817264", country="AU"),
    Rule("australia_post_33", "australia_post", "33 x3 d7-18", -0.8, "B", "33ABC408172644001", "33ABC408172", country="AU"),
    Rule("australia_post_997", "australia_post", "997 d17-20", -0.3, "B", "99708172644001817264", "9970817264400181726", country="AU"),
    Rule("australia_post_sscc", "australia_post", "| 00 d17 d", -1, "B", "00932751000408172645", "00932751000408172646", check="gs1", country="AU"),
)
# fmt: on

# Carriers that are several national companies under one name: the rules name the first, a country picks.
FAMILIES: dict[str, dict[str, str]] = {
    "dpd_de": {
        "AT": "dpd_at",
        "BE": "dpd_be",
        "CH": "dpd_ch",
        "CZ": "dpd_cz",
        "DE": "dpd_de",
        "EE": "dpd_ee",
        "FR": "dpd_fr",
        "GB": "dpd_uk",
        "GR": "dpd_gr",
        "HR": "dpd_hr",
        "HU": "dpd_hu",
        "IE": "dpd_ie",
        "LT": "dpd_lt",
        "LU": "dpd_lu",
        "LV": "dpd_lv",
        "NL": "dpd_nl",
        "PL": "dpd_pl",
        "PT": "dpd_pt",
        "RO": "dpd_ro",
        "SI": "dpd_si",
        "SK": "dpd_sk",
        "IT": "brt",
        "ES": "seur",
        "BG": "speedy",
    },
    "gls": {"DE": "gls_de", "IT": "gls_italy"},
    "amazon_us": {
        "ES": "amazon_es",
        "FR": "amazon_fr",
        "GB": "amazon_uk",
        "IN": "amazon_in",
        "IT": "amazon_it",
    },
    "ninja_van": {
        "ID": "ninja_van_id",
        "MY": "ninja_van_my",
        "PH": "ninja_van_ph",
        "SG": "ninja_van_sg",
        "TH": "ninja_van_th",
        "VN": "ninja_van_vn",
    },
    "jt_express_cn": {"ID": "jt_express_id", "MY": "jt_express_my"},
    "aramex": {"AU": "aramex_au", "NZ": "aramex_nz"},
    "tnt": {"IT": "tnt_italy"},
    "sf_express": {"CN": "sf_express_cn"},
}
