"""Face detectors, one a file, all behind `base.Detector`.

libfacedetection computes with OpenMP, whose idle threads spin by default and so take ten times as long
where other work shares the cores. The policy is read when the OpenMP runtime is loaded: hence here, before
any detector is.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
