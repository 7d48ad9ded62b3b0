"""Write the generated parts of the clients: ``make clients``."""

import sys

from tests.client_code.files import ROOT, files

for path, text in files().items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")
