"""The real worker on a computer whose PyTorch says that there is a graphics card, which then does not work."""

from __future__ import annotations

import torch

from server.worker.process import main

if __name__ == "__main__":
    torch.cuda.is_available = lambda: True
    main()
