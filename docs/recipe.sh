# The released model, step by step. DATA is the folder of patches that the configurations name.
# TOOL is the script that laid out the slides for the thresholds; it isn't in this repository. Without --tool `tune` lays
# out others of the same patches, and may choose other thresholds.
# Two runs did not end by themselves: the second was stopped after epoch 16 of 24 (its best checkpoint is of epoch 12), the
# third at step 4,500 of 4,880. Run to the end they may give other checkpoints.
python -m training fit --config configs/train/pcam.yaml && \
python -m training fit --config configs/train/pcam-second.yaml --model.init_from runs/pcam/lightning_logs/version_0/checkpoints/best.ckpt && \
python -m training fit --config configs/train/pcam-third.yaml --model.init_from runs/pcam-second/lightning_logs/version_0/checkpoints/best.ckpt && \
python -m training average runs/pcam-second/lightning_logs/version_0/checkpoints/best.ckpt runs/pcam-third/lightning_logs/version_0/checkpoints/last.ckpt --to runs/mean.ckpt && \
python -m training export runs/mean.ckpt --to models/pcam-p4m --training-data '29,350 PatchCamelyon training patches (19,171 of the official split, 10,179 of the Kaggle copy), tiles laid out of them, and procedural phantoms' && \
python -m training tune --model models/pcam-p4m --patches DATA/valid.zip --seeds 1-40 --tool TOOL && \
python -m training tune --model models/pcam-p4m --only uncertainty --patches DATA/valid.zip --seeds 1-100 && \
python -m training know-tissue --model models/pcam-p4m --patches DATA/train-0.zip --patches DATA/train-1.zip --patches DATA/train-2.zip --patches DATA/train-3.zip --valid DATA/valid.zip
