#!/usr/bin/env bash
# A reader of our own: a vision tower of 4 million parameters that learns from nothing to read pages, on one CPU core,
# from the PDFs' own words. Killed and started again it goes on where it was; so it can run behind other work.
#
#   bash scripts/train_reader.sh [option ...]
#
#   DATA     folder for PDFs, fonts and pages           (data/reader)
#   RUN      folder of the training                     (runs/reader)
#   STEPS    last step; may be raised until the learning rate falls, in the last DECAY steps     (12000)
#   DECAY    steps at the end in which it falls; 0 to go on another time                         (2000)
#   INIT     folder of a reader to go on from, such as drag_rl/models/reader/weights
#   PDF_DIR  your own PDFs to learn from, instead of the sample manuals from Debian packages
#   HELD_OUT documents that are never learnt from       (the sample corpus's lists of questions, which are measured on)
#   NICE     how much it gives way to other work        (10)
#   THREADS  CPU threads                                (1)
#   PUBLISH  new folder for the trained reader with all that is known of it, measured on QUESTIONS
#   QUESTIONS, PAGES   held-out questions and their pages   (those of the quickstart)
#
# Options are those of `python -m drag_rl.models.reader.train --help`: --device cuda --tiles 256 on a GPU.
# The result is RUN/model: `drag index --kind late --model RUN/model --pages PAGES --out INDEX`.
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
cd "$root"
DATA=${DATA:-data/reader}
RUN=${RUN:-runs/reader}
THREADS=${THREADS:-1}
HELD_OUT=${HELD_OUT:-debian-faq goldencheetah-faq grace-faq nut-faq pyx-faq simh-faq xts-faq R-FAQ}
export OMP_NUM_THREADS=$THREADS

prepared=(--out "$DATA/pages" --font-dir "$DATA/fonts" --watched R-data --most-pages 150 --set-anew 0.6)
for document in $HELD_OUT; do prepared+=(--held-out "$document"); done
watched_fonts=('LinLibertine*' 'LinBiolinum*' 'Lato-*' 'Caladea*')
for fonts in "${watched_fonts[@]}"; do prepared+=(--watched-font "$fonts"); done
packages=()
for fonts in liberation freefont-ttf texgyre lmodern crosextra-{carlito,caladea} open-sans lato ebgaramond \
    inconsolata roboto-unhinted linuxlibertine cantarell dejavu-core; do packages+=(--package "fonts-$fonts"); done
"$python" -m data_preprocess.package_files --ending .ttf --ending .otf --out "$DATA/fonts" \
    "${packages[@]}"
if [[ -z ${PDF_DIR:-} ]]; then
    "$python" -m data_preprocess.sample_corpus --data-dir "$DATA" --size full
    "$python" -m data_preprocess.package_files --ending .pdf --out "$DATA/latex" --package texlive-latex-recommended-doc
    prepared+=(--pdf-dir "$DATA/latex")
    PDF_DIR=$DATA/pdfs
fi
"$python" -m drag_rl.models.reader.prepare --pdf-dir "$PDF_DIR" "${prepared[@]}"
nice -n "${NICE:-10}" "$python" -m drag_rl.models.reader.train --pages "$DATA/pages" --run "$RUN" \
    --steps "${STEPS:-12000}" --decay-steps "${DECAY:-2000}" --threads "$THREADS" ${INIT:+--init "$INIT"} "$@"
if [[ -n ${PUBLISH:-} ]]; then
    "$python" benchmarks/reader.py "$RUN/model" "${PAGES:-data/quickstart/pages}" \
        "${QUESTIONS:-data/quickstart/questions.test.parquet}" --scanned --font-dir "$DATA/fonts" \
        --fonts "${watched_fonts[@]}" --json "$RUN/measured.json"
    licences=()
    for folder in "$DATA" "$DATA/latex" "$DATA/fonts"; do
        [[ -d $folder/licences ]] && licences+=(--licences "$folder/licences")
    done
    "$python" -m drag_rl.models.reader.publish --run "$RUN" --pages "$DATA/pages" --out "$PUBLISH" \
        --measured "$RUN/measured.json" "${licences[@]}"
fi
