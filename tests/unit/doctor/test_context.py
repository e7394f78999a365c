from oslo_config import cfg

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
