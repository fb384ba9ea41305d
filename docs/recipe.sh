# The released model, step by step. DATA is the folder of patches that the configurations name.
python -m training fit --config configs/train/pcam.yaml && \
python -m training fit --config configs/train/pcam-second.yaml --model.init_from runs/pcam/lightning_logs/version_0/checkpoints/best.ckpt && \
python -m training fit --config configs/train/pcam-third.yaml --model.init_from runs/pcam-second/lightning_logs/version_0/checkpoints/best.ckpt && \
python -m training average runs/pcam-second/lightning_logs/version_0/checkpoints/best.ckpt runs/pcam-third/lightning_logs/version_0/checkpoints/last.ckpt --to runs/mean.ckpt && \
python -m training export runs/mean.ckpt --to models/pcam-p4m && \
python -m training tune --model models/pcam-p4m --patches DATA/valid.zip && \
python -m training tune --model models/pcam-p4m --only uncertainty --patches DATA/valid.zip --seeds 1-100
