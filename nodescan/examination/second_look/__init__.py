"""The second look: float32 answers again whatever the fast answers leave open, so that findings are those of float32.

A fast predictor (int8, bfloat16, float16) may be off by `tolerance` in a cell, and by `smoothed_tolerance` in the map
once smoothed, of which deposits are outlines. The argument, in order:

1. The true map lies within the tolerance of the fast one, so true deposits lie between those that the fast map shows at
   thresholds that much lower and those at thresholds that much higher. (decisive.py, certain.py)
2. A true deposit has a cell at the seed threshold. Where the fast map stays below that, less the tolerance, there is
   none in either map.
3. The size of a deposit hangs on the cells that join its seeds above the threshold; its "±" on those that join near it
   at the lowered threshold; whether it may be part of a longer one on all that join there, and, where there are
   several deposits, yet lower (imaging/doubts.py). With what an outline is interpolated from, and what is smoothed
   into all these, they are the decisive cells. (decisive.py)
4. Once float32 has answered these, the map gives float32's deposits, with their flags, to the last digit. With a
   joining gap (0 unless set) one length may be off: that of the longer deposit which joined ones may be part of.
5. Large deposits would cost most. One that is found at both the lower and the higher thresholds, with one class that no
   error can change, is certain: it keeps its fast answers. Where that is open for a piece, a bridge or a spur, float32
   first answers the cells about it, which makes most deposits certain. (certain.py, fast_map.py)
6. A certain deposit's size is off by 2 um or less, and by some hundredths of that once float32 has answered the cells
   around both ends of its diameter. If it is then longest elsewhere, those ends are answered, too, until they stay.
   (guard.py)
7. Three things besides deposits are float32's: the share of tumour on glass, whether all answers are the same, and, if
   few tiles decide it and no deposit is certain, the confidence of the likeliest detection. (decisive.py, guard.py)
8. The tolerances are measured, not proved. So wherever both answered they are compared, on some cells that bear on
   nothing, too. If they differ by more, float32 answers the whole slide. (guard.py)
"""
