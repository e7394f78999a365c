"""Entry points of the programs. No logic."""

import warnings

# oslo.messaging imports eventlet, which prints this warning. The programs use native threads.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
