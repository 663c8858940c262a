def pages(): return {"rules/index.md": "# Rules\n"}
def draw_all(to): pass
def statements_table(): return ""
