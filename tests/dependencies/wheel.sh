#!/bin/bash
# Does the wheel work where nothing else is installed? Run as tests/dependencies/wheel.sh
#
# Builds the source distribution and from it the wheel, installs the wheel without extras into an empty environment, and
# sees that what needs no model works without torch, and that what needs more says what to install.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1
"${PYTHON:-python3}" -m venv "$work/build"
"$work/build/bin/python" -m pip install --quiet build
git -C "$root" archive HEAD --prefix=source/ | tar -x -C "$work"
"$work/build/bin/python" -m build --outdir "$work/dist" "$work/source" > "$work/build.log" || { cat "$work/build.log"; exit 1; }
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" "$work"/dist/*.whl
cd "$work"
mrbench=$work/venv/bin/mrbench
! "$work/venv/bin/python" -c 'import torch' 2> /dev/null
"$mrbench" --help > /dev/null
"$mrbench" models list > /dev/null
"$mrbench" datasets > /dev/null
"$mrbench" leaderboard build "$root/leaderboards/entries" --output board > /dev/null
test -s board/index.html

# Each line: the extra that a command asks for, and the command.
while read -r extra command; do
  said=$("$mrbench" $command 2>&1 > /dev/null) && { echo "no error: mrbench $command"; exit 1; }
  [[ $said == *"next: pip install \"mrbench[$extra]\""* ]] || { echo "mrbench $command: $said"; exit 1; }
done << 'END'
models models check hf:x
st models check st:x
open_clip models check open_clip:ViT-B-32/openai
timm models check timm:resnet18
api models check openai:http://localhost:1#m
build build emoji --output emoji
END
echo "the wheel works: $(basename "$work"/dist/*.whl), $(du -k "$work"/dist/*.whl | cut -f1) KB"
