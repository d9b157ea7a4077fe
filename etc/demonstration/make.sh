#!/bin/bash
# Makes the demonstration bundles: bash etc/demonstration/make.sh DATA OUT
# DATA: the unpacked real CT (sources and licences: README.md beside this file). About three hours
# on two cores; what was begun goes on when the command is given again. A run is the same bit for bit
# only on the same processor with as many threads.
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$2") here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$here/../.."

python - "$data" "$out" <<'PYTHON'
import sys
import SimpleITK
data, out = sys.argv[1:]
image = SimpleITK.ReadImage(f"{data}/lung_masks/elastix/3DCT_lung_baseline_small.mha")
SimpleITK.WriteImage(SimpleITK.Cast(image, SimpleITK.sitkInt16), f"{out}/elastix.nii.gz")
PYTHON

hosts() { # SPLIT NAME=PATH...
    echo "scan,patient,path,split"
    for each in "${@:2}"; do echo "${each%%=*},${each%%=*},${each#*=},$1"; done
}
hosts training "ge_art=$data/ge_5mm_arterial_contrast" "ge_pet=$data/ge_petct_5mm" \
    "siemens=$data/siemens_8mm" "elastix=$out/elastix.nii.gz" > "$out/training.csv"
hosts validation "cta=$data/thorax_cta_1.5mm/ct_cropped.nii.gz" > "$out/validation.csv"
hosts test "philips=$data/philips_5mm_noncontrast" > "$out/test.csv"

simulate() { dicomnode model simulate --hosts "$out/$1.csv" --out "$out/$2" --scans "$3" --seed "$4" --workers 2; }
simulate training train 256 11
simulate training train2 256 21
simulate validation val 32 12
simulate test test 80 13
python "$here/merge.py" "$out/all" "$out/train" "$out/train2" "$out/val"

[ -e "$out/resnet50.safetensors" ] || python "$here/warm_start.py" "$out/resnet50.safetensors"

train() { dicomnode model train --task "$1" --manifest "$out/all/$1.csv" --out "$out/runs/$1" --seed 1 "${@:2}"; }
train lungs --stages lungs:1600 --set width=8 --loop validate_every=400
train covnet --init "$out/resnet50.safetensors" --set validation_slices=40 --loop validate_every=250
train regions --stages segmenter:2000,classifier:6000 --set width=4 --set patch_width=20 \
    --set grid_pixel_mm=3 --set grid_slice_mm=4 --set piece_slices=32 --set piece_pixels=48 --set pieces=4 \
    --set about_lesion=0.7 --set segmenter_rate=2e-3 --loop validate_every=400

prove=() # where the processor computes in bfloat16 itself: what that changes comes into the card
grep -qE ' (avx512_bf16|amx_bf16)( |$)' /proc/cpuinfo && prove=(--prove-bf16)
declare -A name=([lungs]="Lungs" [covnet]="COVNet" [regions]="Location attention")
for task in lungs covnet regions; do
    label=(--run "$out/runs/$task" --name "${name[$task]} demonstration" --version 0.1 --licence CC-BY-4.0)
    label+=(--use demonstration --half)
    lungs=$([ "$task" = lungs ] || echo "--lungs $out/bundles/lungs")
    dicomnode model package "${label[@]}" --out "$out/unjudged/$task"
    dicomnode model evaluate --bundle "$out/unjudged/$task" $lungs --manifest "$out/test/$task.csv" \
        --out "$out/reports/$task" --split all "${prove[@]}"
    dicomnode model package "${label[@]}" --evaluation "$out/reports/$task" --out "$out/bundles/$task"
done
