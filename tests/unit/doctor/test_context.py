from unittest import mock

from oslo_config import cfg

from nova_cachemig.conf import values
from nova_cachemig.doctor import context
from tests.unit.doctor.files import Case


class ContextTest(Case):
    def test_drivers_of_several_files_add_up_and_lists_are_replaced(self) -> None:
        first = self.write(
            "a.conf",
            "[oslo_messaging_notifications]\ndriver = messagingv2\ndriver = cachemig\n"
            "[filter_scheduler]\nweight_classes = a,b\n",
        )
        second = self.write("b.conf", "[filter_scheduler]\nweight_classes = c\n")
        conf = context.read_nova([first, second])
        self.assertEqual(["messagingv2", "cachemig"], conf.oslo_messaging_notifications.driver)
        self.assertEqual(["c"], conf.filter_scheduler.weight_classes)

    def test_the_former_name_of_the_driver_counts(self) -> None:
        conf = self.nova("[DEFAULT]\nnotification_driver = cachemig\n")
        self.assertEqual(["cachemig"], conf.oslo_messaging_notifications.driver)

    def test_a_mistake_is_an_error(self) -> None:
        path = self.write("bad.conf", "[agent]\nwarm_time = many\n")
        self.assertRaises(cfg.Error, context.read_agent, [path])
        self.assertRaises(cfg.Error, context.read_nova, [str(self.here / "none.conf")])

    def test_a_wrong_value_of_ours_in_nova_conf_is_one_sentence(self) -> None:
        path = self.write("nova.conf", "[cachemig]\nwarm_timeout = soon\n")
        of_agent = self.enterContext(mock.patch.object(values, "list_agent_opts"))
        with self.assertRaises(cfg.Error) as raised:
            context.read_nova([path])
        of_agent.assert_not_called()  # Nova's environment lacks their libraries
        wanted = "warm_timeout = soon is not valid: write a whole number from 0 to 300"
        self.assertEqual(f"{path}: [cachemig] {wanted}", str(raised.exception))

    def test_a_wrong_value_of_novas_own(self) -> None:
        path = self.write("nova.conf", "[DEFAULT]\ninstance_usage_audit = perhaps\n")
        with self.assertRaisesRegex(
            cfg.Error, rf"^{path}: \[DEFAULT\] instance_usage_audit is not"
        ):
            context.read_nova([path])
