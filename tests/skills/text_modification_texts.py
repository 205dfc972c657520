"""Texts that the builders of text modification are tried on: letters, minutes, notes, a table, a review; three languages."""

HARBOUR = """The harbour office at Marsfjord keeps a diary that nobody reads. On 12 March 1998 the pilot Anders Holm wrote that the \
northern buoy had drifted. The repair took nine days and cost 12,500 crowns. A second entry, dated April 3, 2004, says that Anders Holm \
and the clerk Ingrid Vale moved the buoy again, because a trawler from Marsfjord had cut its chain.

The clerk Ingrid Vale disagreed with the pilot about the depth. She measured the channel at 3:30 pm and found less water than the chart \
promised. The chart had been printed in 1961. Nobody at Marsfjord had checked the channel since then, although 140 ships a year depend \
on it.

In the end the council paid for a new survey. It began on 7 June 2005 and lasted for 11 weeks. The surveyors anchored 5 miles from \
the harbour and came ashore at 9 am each Monday. Their report lies in the harbour office, and the diary has not mentioned the buoy again."""

MILL = """Oskar Brandt bought the mill for 2,300 pounds in money and 40 pounds of flour a week. The wheel is 14 feet across and turns \
with a sound that visitors remember. When Oskar Brandt was asked about the noise, he said that silence would mean debt.

His sister Clara Brenner keeps the accounts. She wrote to the bank in 1987, and the bank answered in 1989. Both letters hang beside the \
door, next to a photograph of Clara Brenner with a sack on her shoulder. Visitors from Oldenhall always photograph the letters.

The mill sells flour on two days a week. It closes in January, when the stream at Oldenhall freezes. The nearest other mill is 22 miles \
away, which explains the queue."""

MEETING = """Minutes of the allotment society, 4 May 2016. Mr Pell opened the meeting and said that the water rate had risen. Mrs Okafor \
asked why nobody had been told. The treasurer, who had the letters with her, answered that notices were sent in March. Mrs Okafor replied \
that hers had gone to the old address, and Mr Pell agreed to write again.

The society has 64 plots and a waiting list of 31 households. A plot costs 48 pounds a year. It was decided that the gate shall be \
locked at 8:15 pm from October on. Mr Pell will fit the lock. The treasurer will pay for the keys out of the repair fund, which holds \
1,140 pounds."""

REVIEW = """I stayed at the guest house above the weir for three nights in May. I had asked for the small room, and I got it, although \
the owner told me that it was cold. My train came in at 7:40 pm and nobody met me, so I walked the mile from the station with my bag. \
The room was cold. I wore my coat at breakfast and the owner, who is called Hedda Moen, laughed and lit the stove for me.

What I liked was the river. I could hear it from my bed, and on the second day I swam in it before breakfast, which Hedda Moen said no \
guest had done since her grandmother ran the place. She showed me a photograph of a bearded man standing in the water up to his knees, \
and I recognised the stone that I had sat on that morning."""

NOTES = """Reservoir notes, put together in a hurry. The dam was finished in 1934. The first flood over the spillway came in 1947. A crack \
near the gate was reported in 1952 and filled with concrete. The village below was moved in 1931, before the water rose. Anglers were \
let in for the first time in 1966, on Sundays only. The gate was replaced in 1978 after a winter of ice. Swimming has been forbidden \
since 1983. The last keeper, whose name was Joseph Amery, left the cottage in 1991."""

BULLETS = """Things to bring on the glacier walk:

- rope of forty metres
- axe with a leather guard
- goggles against the glare
- water for the whole day
- map in a dry bag

Leave at the hut what you can, since the guide Tove Lund weighs every pack and sends back those who carry too much."""

TABLE = """station,line,opened,visitors
Kestrel Road,north,1904,12840
Old Priory,north,1911,7320
Vane Street,harbour,1926,15002
Limekiln,harbour,1931,4410
Moss Gate,south,1950,9985"""

MARKDOWN_TABLE = """The three boats that are still at work:

| boat | built | length m | owner |
| --- | --- | --- | --- |
| Petrel | 1956 | 11.2 | Jonna Ek |
| Solan | 1972 | 14.0 | Peder Ek |
| Auk | 1988 | 9.6 | the museum |

All three can be hired in summer."""

HEADED = """# Keeping bees on a flat roof

Roofs are warmer than fields, and windier.

## Before you begin

Ask the owner and the neighbours. Weigh a full hive: it comes to about 60 kilograms.

### The owner

Get the permission in writing.

### The neighbours

Show them where the bees will fly.

## The first season

Expect little honey. The colony needs what it makes.

## Winter

Strap the hives down before November."""

CITED = """Roof colonies forage further than field colonies (Haldane, 2009), and they bring in pollen of more kinds (Mbeki and Roth, 2014). \
What this does to their winter survival is disputed. One survey found no difference (Haldane, 2009), while another reports losses of a \
fifth (Straker, 2017) in windy cities. Nobody has yet counted swarms (Mbeki and Roth, 2014)."""

GERMAN = """Der Stadtrat hat am 3. Oktober 1998 beschlossen, das Archiv zu verlegen. Frau Winkelmann war dagegen, denn der Keller am Fluss \
ist feucht. Herr Dobler sagte, dass der Umzug 14 Wochen dauern werde. Die Akten wurden am 12. Januar 1999 gebracht, und Frau Winkelmann \
zählte jede Kiste.

Heute liegen dort 4200 Kisten. Herr Dobler hat das Haus verlassen, aber seine Liste wird noch benutzt. Wer eine Akte braucht, wartet zwei \
Tage. Der Keller ist noch immer feucht."""

HINDI = """गाँव की पुरानी बावड़ी 1887 में बनी थी। उसकी सीढ़ियाँ पत्थर की हैं और गर्मियों में भी ठंडी रहती हैं। लोग पहले यहाँ से पानी भरते थे। \
अब वहाँ नल लगा है, पर बावड़ी सूखी नहीं है।

पिछले साल पंचायत ने सफ़ाई के लिए 12 मज़दूर रखे। काम 45 दिन चला। मिट्टी के नीचे एक शिलालेख मिला। उसे 1994 में भी किसी ने देखा था।"""

SESSION = """Greta Lunde built the organ in the chapel. She worked on the bellows for two winters, and people brought her wood. The pipes \
came by ship. Nobody thought that Greta Lunde would ever finish the bellows.

Today the organ is played on feast days. The chapel is full then, and the windows tremble. Visitors ask who made it and are shown a \
name behind the bellows. Only the oldest can still tell how Greta Lunde tuned the pipes and mended the bellows."""

DRAFT = """The bridge at Sorrel Lane have been closed since Easter, and nobody in the village is surprised. For years the the timbers were \
inspected by a man who lived on the other side. When he retired their was no one to follow him. The council now says that repairs will \
start soon, and that the cost is to high for one year."""
DEFECTS = [
    {"sort": "agreement", "wrong": "Lane have been closed", "right": "Lane has been closed"},
    {"sort": "doubled word", "wrong": "the the timbers", "right": "the timbers"},
    {"sort": "wrong word", "wrong": "retired their was", "right": "retired there was"},
    {"sort": "wrong word", "wrong": "is to high", "right": "is too high"},
]

TEXTS = {"harbour": (HARBOUR, "en"), "mill": (MILL, "en"), "meeting": (MEETING, "en"), "review": (REVIEW, "en"), "notes": (NOTES, "en"),
         "bullets": (BULLETS, "en"), "table": (TABLE, "en"), "markdown_table": (MARKDOWN_TABLE, "en"), "headed": (HEADED, "en"),
         "cited": (CITED, "en"), "german": (GERMAN, "de"), "hindi": (HINDI, "hi"), "session": (SESSION, "en"), "draft": (DRAFT, "en")}
