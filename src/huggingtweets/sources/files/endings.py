"""The endings of domains that handles on Bluesky are likely to have: how `@alice.studio` is told from `@john.doe`.

Two letters are a country's and not listed. New endings appear every year, so this is no list of all of them, and
whoever means one that is missing says so with `bluesky:`. Those that end files as well are left out.
"""

from __future__ import annotations

ENDINGS = """
com org net edu gov mil int info biz name pro mobi tel jobs coop aero museum travel post asia cat xxx arpa example
test invalid local internal onion academy actor ads agency airforce amsterdam app archi army art arts associates
attorney auction audio auto baby band bank bar barcelona bargains baseball basketball bayern beauty beer berlin best
bet bible bid bike bingo bio black blog blue boats boo boston bot brussels build builders business buzz bzh cab cafe
cam camera camp capetown capital cards care career careers cars casa cash casino catering catholic center ceo charity
chat cheap church city claims cleaning click clinic clothing cloud club coach codes coffee college cologne community
company computer condos construction consulting contact contractors cooking cool corsica country coupons courses
credit cricket cruises cymru dad dance date dating day dealer deals degree delivery democrat dental dentist desi
design dev diamonds diet digital direct directory discount diy doctor dog domains download durban earth eco education
email energy engineer engineering enterprises equipment esq estate eus events exchange expert exposed express fail
faith family fan fans farm fashion film finance financial fish fishing fit fitness flights florist flowers foo food
football forsale forum foundation frl fun fund furniture futbol fyi gal gallery game games garden gay gdn gent gift
gifts gives glass global gmbh gold golf gop graphics gratis green gripe group guide guitars guru hair hamburg haus
health healthcare help helsinki hiphop hockey holdings holiday homes horse hospital host hosting hot house how immo
immobilien inc industries ing ink institute insure international investments irish ist istanbul jetzt jewelry joburg
juegos kaufen kim kitchen kiwi koeln krd kyoto land lat law lawyer lease legal lgbt life lifestyle lighting limited
limo link live living llc loan loans lol london lotto love ltd luxe luxury madrid maison management market marketing
markets mba media melbourne meme memorial men menu miami moe mom money monster mortgage moscow motorcycles movie
music nagoya navy network new news nexus ngo ninja nyc observer okinawa one ong onl online organic osaka ovh page
paris partners parts party pet phd photo photography photos physio pics pictures pink pizza place plumbing plus poker
porn press productions prof promo properties property protection pub quebec quest racing radio realestate recipes red
rehab reise reisen rent rentals repair report republican rest restaurant review reviews rich rio rip rocks rodeo rsvp
rugby ruhr run saarland sale salon sarl school schule science scot security services sex sexy shoes shop shopping show
singles site ski skin soccer social software solar solutions soy spa space spot storage store stream studio study
style sucks supplies supply support surf surgery swiss sydney systems taipei tatar tattoo tax taxi team tech
technology tennis theater theatre tickets tienda tips tires tirol today tokyo tools top tours town toys trade trading
training trust tube university uno vacations vegas ventures vet viajes video villas vin vip vision vlaanderen vodka
vote voting voto voyage wales wang watch webcam website wedding weekend wien wiki win wine work works world wtf xyz
yachts yoga yokohama you zone zuerich
"""
