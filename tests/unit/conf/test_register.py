"""Every module of options can register its group in several separate ConfigOpts."""

from __future__ import annotations

import importlib
import pkgutil
import unittest

from oslo_config import cfg

import nova_cachemig.conf
from nova_cachemig.conf.metrics import Address

MODULES = sorted(
    found.name
    for found in pkgutil.iter_modules(nova_cachemig.conf.__path__)
    if found.name not in {"keystone", "networks", "opts", "setup", "sizes", "values"}
)


def new_conf(module: str) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    importlib.import_module(f"nova_cachemig.conf.{module}").register(conf)
    return conf


class RegisterTest(unittest.TestCase):
    def test_a_value_set_for_one_conf_is_not_set_for_another(self) -> None:
        for module in MODULES:
            ((group, options), *_) = importlib.import_module(
                f"nova_cachemig.conf.{module}"
            ).list_opts()
            one, other = new_conf(module), new_conf(module)
            option = next(
                o
                for o in options
                if type(o) in {cfg.Opt, cfg.IntOpt, cfg.FloatOpt, cfg.StrOpt}
                and not getattr(o.type, "choices", None)
            )
            name = str(group)
            before = one[name][option.dest]  # not from `other`: it would cache the value
            changed = "another" if isinstance(option, cfg.StrOpt) else (before or 0) + 1
            if module == "metrics":
                changed = Address("127.0.0.1", 1)
            with self.subTest(module):
                one.set_override(option.dest, changed, group=name)
                self.assertEqual(
                    (changed, before), (one[name][option.dest], other[name][option.dest])
                )

    def test_registering_twice_is_no_error(self) -> None:
        for module in MODULES:
            with self.subTest(module):
                conf = new_conf(module)
                before = list(conf)
                importlib.import_module(f"nova_cachemig.conf.{module}").register(conf)
                self.assertEqual(before, list(conf))
