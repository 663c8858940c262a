def pages(): return {"equations/index.md": "# Equations\n"}
