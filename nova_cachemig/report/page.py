def page(runs, told):
    return ""
