"""Short, frequent words of other languages that English writes the same way or that English texts quote.

A translation by the nearest English vector would give the English word itself ("die", "war", "comment"). Where two
languages share a word, the entry is what it mostly means.
"""

# Word -> its English translation. None of them is a sign of a language, since English texts have them too.
_COMMON = """
die the; was what; war was; hat has; den the; dem the; des of; am on; um for; so so; man one; bin am; will want; als as;
also so; aus out; wo where; er he; es it; hier here; fast almost; tag day; bad bath; rot red; art kind; gut good; not
need; rat advice; gift poison; land country; herr mister; kind child; hut hat; brief letter; chef boss; wand wall; see
lake; stern star; handy phone; par by; sur on; son his; sa her; mon my; ma my; ce this; se itself; ne not; on one; si
if; ou or; au to; sans without; plus more; main hand; pain bread; chat cat; coin corner; pays country; four oven; fin
end; sont are; comment how; pour for; tu you; fait does; grand big; pas not; sous under; car because; dent tooth; chose
thing; court short; rue street; mode way; dire say; con with; sin without; hay is; mi my; al to; lo it; me me; no not;
once eleven; pie foot; red network; sol sun; luz light; vino wine; sobre about; tan so; fue was; sea be; ser be; crea
create; resume summary; come how; chi who; fare do; dove where; ho have; mare sea; cane dog; sale salt; estate summer;
per for; tra between; em in; na in; os the; as the; do of; da of; dos of; mas but; qual
which; van from; en in; is is; op on; te to; met with; of or; kan can; over about; bij at; men one; had had; beer bear;
room cream; boom tree; mag may; bent are; dan then; toen when; naar to; gin go; pan mister; to it; ten this; nad above;
pod under; jest is; bir one; at horse; and oath; var is; bu this
"""
# The same for words that English texts hardly have: each is a sign of another language.
_SIGNS = """
der the; das the; und and; ist is; ein a; eine a; einen a; einem a; von of; zu to; mit with; auf on; im in; bei at; sie
she; wir we; ich i; nur only; mein my; wie how; stadt city; wort word; kann can; sich itself; nicht not; auch also; haus
house; oder or; le the; la the; les the; de of; du of; un a; une a; et and; est is; que that; qui who; dans in; nous we;
vous you; je i; aux to; il he; elle she; quel which; quelle which; avec with; monde world; ville city; histoire history;
jour day; vie life; el the; los the; las the; del of; una a; por by; para for; como how; casa house; vida life; mundo
world; ciudad city; gli the; di of; che that; non not; della of; nel in; dei of; alla to; uma a; com with; mais more;
quem who; het the; een a; dat that; voor for; niet not; hoe how; wat what; zijn are; mijn my; ook also; ik i; deze this;
czy whether; nie not; jak how; dla for; ile how; ve and
"""


def _parse(text: str) -> dict[str, str]:
    pairs = (entry.split() for entry in text.split(";"))
    return {word: translation for word, translation in pairs}  # noqa: C416 - dict() would hide that each entry has two words


COMMON = _parse(_COMMON)
SIGNS = _parse(_SIGNS)
