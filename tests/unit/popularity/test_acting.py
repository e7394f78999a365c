"""URLs that may act."""

import unittest
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.urltext import word_set
from nova_cachemig.popularity import acting

ACTS = sorted(
    word_set(
        """
/logout /Log-Out.aspx /user/logout /users/sign_out /account/signout.do /l%6fgout /l%256fgout
/wp-login.php?action=logout /wp-cron.php /wp-cron.php?doing_wp_cron=1700000000.1
/shop/?add-to-cart=42 /?add-to-cart=5&quantity=1 /cart/?remove_item=1 /?undo_item=3 /checkout/
/cart /?wc-ajax=add_to_cart /my-account/customer-logout/
/index.php?title=A&action=purge /index.php?title=A&action=watch /index.php?title=A&action=edit
/wiki/Special:UserLogout /index.php?title=Special:UserLogout
/job/deploy/build /job/deploy/buildWithParameters /job/deploy/5/stop /quietDown?x /restart
/ucp.php?mode=logout /ucp.php?mode=delete_cookies /posting.php?mode=delete&f=1 /cron.php
/viewtopic.php?t=5&vote_id=1 /viewtopic.php?t=5&watch=topic&start=0&subscribe=1
/cron/8Fq2 /admin/config/system/cron/run /node/5/delete /user/5/cancel /flag/flag/like/5
/flag/unflag/like/5 /rate/1 /update.php?op=selection
/admin/logout/ /admin/shop/order/5/delete/ /accounts/confirm-email/ab:cd/
/email/verify/5/abc /password/reset/abc
/mailman/confirm/list/01234567 /mailman/options/list?unsub=1&unsubscribe=1
/group/project/-/jobs/5/retry /group/project/-/pipelines/5/cancel
/unsubscribe?u=5 /newsletter/optout /opt-out /posts/5/like /posts/5?like=1 /vote/5/up
/index.php?route=checkout/cart/add /index.php?option=com_users&task=user.logout /?do=it /?op=x
/?cmd=x /cgi-bin/x.cgi?command=x /x?tx_news%5Baction%5D=list /lib/exe/taskrunner.php?id=start
/doku.php?id=a&do=edit /run-now /cartAdd /cart_add.php /item/5/edit /install.php /upgrade
/delete.php/x.css /api/items/5/start /x?ACTION=1 /x;do=1
/abmelden /account/ausloggen /artikel/5/löschen /in-den-warenkorb/5 /kaufen /newsletter/kündigen
/d%C3%A9connexion /supprimer/5 /se-desabonner /ajouter-au-panier/5 /cerrar-sesion /eliminar/5
/sair /excluir/5 /esci /elimina/5 /uitloggen /verwijderen/5 /wyloguj /usun/5 /logga-ut /ta-bort/5
/log-ud /kirjaudu-ulos /odhlasit /kijelentkezes /%C3%A7%C4%B1k%C4%B1%C5%9F-yap /выйти /удалить/5
/ログアウト /削除/5 /退出 /用户/注销 /로그아웃
"""
    )
)

READS = sorted(
    word_set(
        """
/ /index.html /about-us /news/2024/05/12/hello-world-again/ /blog/how-to-start-a-business
/product/blue-shirt/ /category/shoes/page/2/ /wiki/Main_Page /w/index.php?title=Main_Page
/doku.php?id=start /viewforum.php?f=2&start=25 /viewtopic.php?t=5 /node/5 /taxonomy/term/3
/admin/login/ /listinfo/users /pipermail/users/2024-May/ /group/project/-/tree/main/src
/newsletter /annual-report /archive /contact /terms-of-use /search?q=delete+a+user+by+its+name
/api/items?page=2&sort=price /lab/tree/a.ipynb /wp-json/wp/v2/posts?per_page=10 /feed/ /rss.xml
/events/schedule /credits /ladder /editorial /starters /ueber-uns /impressum /produits/ /noticias
/новости /ニュース
"""
    )
)


class ActsTest(unittest.TestCase):
    def test_urls_that_act(self):
        for url in ACTS:
            with self.subTest(url):
                self.assertTrue(acting.acts(url))

    def test_urls_that_read(self):
        for url in READS:
            with self.subTest(url):
                self.assertFalse(acting.acts(url))

    def test_verbs_of_a_service(self):
        self.assertFalse(acting.acts("/beam/5"))
        for url in ("/beam/5", "/beam-up", "/x?beam=yes", "/upBeam"):
            self.assertTrue(acting.acts(url, {"beam"}), url)

    def test_the_name_of_a_file_does_not_act(self):
        self.assertFalse(acting.file_acts("/js/add-to-cart.min.js"))
        self.assertTrue(acting.file_acts("/logout/a.css"))

    @given(
        st.sampled_from(
            ["logout", "unsubscribe", "delete", "remove", "confirm", "activate", "checkout"]
        ),
        st.text(st.sampled_from("abcxyz019-_."), max_size=10),
        st.text(st.sampled_from("abcxyz019-_."), max_size=10),
        st.sampled_from(["/{}", "/x/{}/y", "/x.php?{}=1", "/x?y=1&{}", "/x;{}=1"]),
        st.booleans(),
    )
    def test_a_word_that_always_acts_in_any_place(self, word, before, after, where, encoded):
        word = "".join(f"%{ord(c):02x}" for c in word) if encoded else word.title()
        self.assertTrue(acting.acts(where.format(f"{before}{word}{after}")))

    @given(st.sampled_from(["action", "do", "op", "cmd", "task"]), st.text())
    def test_parameters_that_say_what_to_do(self, name, value):
        self.assertTrue(acting.acts(f"/x?a=1&{name}={urllib.parse.quote(value, safe='')}"))

    @given(st.text())
    def test_any_text(self, text):
        self.assertIsInstance(acting.acts("/" + text), bool)
