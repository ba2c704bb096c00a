"""Write the table of WordNet facts that ``mrbench.grains.wordnet`` reads, from Debian's package ``wordnet-base``.

The table keeps what rules on captions need: the senses of a lemma in order of frequency, a synset's lexicographer file,
its hypernyms, its antonyms and its similar adjectives. It leaves out glosses, meronyms, adverbs, names of single things
(synsets with an instance hypernym) and Latin taxa.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    python tools/wordnet_facts.py wordnet/usr/share/wordnet mrbench/grains/data/wordnet.txt.xz

The same input gives the same bytes.
"""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

PARTS = {"n": "noun", "v": "verb", "a": "adj"}
MAX_WORDS = 3


def synsets(folder: Path, part: str) -> dict[str, dict[str, object]]:
    """Return the synsets of a part of speech by their offset: lexicographer file, lemmas, pointers."""
    found: dict[str, dict[str, object]] = {}
    for line in (folder / f"data.{PARTS[part]}").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue  # the licence, which stands beside the table
        fields = line.split(" | ", 1)[0].split()
        offset, file_number, count = fields[0], int(fields[1]), int(fields[3], 16)
        lemmas = [fields[4 + 2 * n].split("(")[0] for n in range(count)]
        start = 4 + 2 * count
        pointers = [fields[start + 1 + 4 * n : start + 5 + 4 * n] for n in range(int(fields[start]))]
        if any(symbol == "@i" for symbol, *_ in pointers):
            continue  # one thing with a name, such as a city
        if part == "n" and all(lemma[0].isupper() for lemma in lemmas) and file_number in (5, 20):
            continue  # a genus, family, order of animals or plants
        found[offset] = {
            "file": file_number,
            "lemmas": lemmas,
            "pointers": [(symbol, target, to) for symbol, target, to, _ in pointers if to in (part, "s")],
        }
    return found


def senses(folder: Path, part: str) -> dict[str, list[str]]:
    """Return the offsets of a lemma's synsets, the most frequent first."""
    found: dict[str, list[str]] = {}
    for line in (folder / f"index.{PARTS[part]}").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            found[fields[0]] = fields[-int(fields[2]) :]
    return found


def table(folder: Path) -> str:
    """Return the table as text; its first lines say how it is read."""
    lines = ["# WordNet 3.0, Princeton University; see LICENSE.wordnet. Made by tools/wordnet_facts.py."]
    for part in PARTS:
        sets = synsets(folder, part)
        numbers = {offset: number for number, offset in enumerate(sets)}
        lines.append(f"synsets {part} {len(sets)}")
        for number, synset in enumerate(sets.values()):
            groups = {"@": [], "!": [], "&": []}
            for symbol, target, _ in synset["pointers"]:  # type: ignore[attr-defined]
                if symbol in groups and target in numbers:
                    groups[symbol].append(str(number - numbers[target]))
            fields = [str(synset["file"]), *(",".join(dict.fromkeys(groups[symbol])) for symbol in "@!&")]
            lines.append(" ".join(field or "-" for field in fields).removesuffix(" -").removesuffix(" -"))
        lemmas = {}
        for lemma, offsets in senses(folder, part).items():
            rows = [str(numbers[offset]) for offset in offsets if offset in numbers]
            if rows and lemma.count("_") < MAX_WORDS and lemma[0].isalpha():
                lemmas[lemma] = rows
        lines.append(f"lemmas {part} {len(lemmas)}")
        lines.extend(f"{lemma} {' '.join(rows)}" for lemma, rows in sorted(lemmas.items()))
        forms = [line.split()[:2] for line in (folder / f"{PARTS[part]}.exc").read_text(encoding="utf-8").splitlines()]
        irregular = [f"{form} {lemma}" for form, lemma in forms if lemma in lemmas and form.isalpha()]
        lines.append(f"irregular {part} {len(irregular)}")
        lines.extend(irregular)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the folder named first, write the file named second."""
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    text = table(folder).encode()
    output.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
