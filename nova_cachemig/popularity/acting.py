"""Decides whether a GET request for a URL may act: log a user out, place an order, run a job.

HTTP forbids this (RFC 9110, section 9.2.1), but applications do it. The decision uses words, since
nothing else in a URL shows what a request does. A page that is wrongly left out is only not warm.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from nova_cachemig.model import urltext

_MAX_TITLE: Final = 3  # words of a segment; a longer one is the title of a page

# Anywhere in a path or query, also as a part of a longer word. Words without a break between them
# (logout) are written as one here, and match "log-out" and "log out" too.
_ALWAYS_WORDS: Final = urltext.word_set(
    """
    logout logoff logmeout signout signoff unsubscribe optout unregister deregister addtocart
    addtobasket addtobag addtowishlist delete destroy remove activate confirm unlink revoke
    wpcron webcron taskrunner checkout placeorder purge quietdown

    abmelden ausloggen austragen loeschen löschen entfernen bestätig bestaetig kündigen kuendigen
    stornieren aktivieren freischalten warenkorb

    déconnexion déconnecter supprimer désabonn désinscri confirmer acheter ajouterau

    cerrarsesión eliminar borrar darsedebaja cancelarsuscripción finalizarcompra excluir
    descadastrar encerrarsessão terminarsessão elimina cancella rimuovi disconnetti disiscriv
    conferma acquista deconectare dezabonare

    uitloggen afmelden uitschrijven verwijder bevestig loggaut loggud logud loggut
    afmeld avmeld avregistrera tabort bekräfta kirjauduulos

    wyloguj potwierdź wypisz odhlásit smazat odstranit potvrdit kijelentkez törlés
    cikisyap oturumukapat

    выход выйти удалить отписаться подтвердить вийти видалити αποσύνδεση تسجيلالخروج حذف

    退出 登出 注销 删除 刪除 退订 退訂 确认 確認 购买 購入
    削除 ログアウト 退会 解除 로그아웃 삭제 구매
    """
)
_ALWAYS: Final = re.compile(
    "|".join(sorted({re.escape("".join(urltext.words(word))) for word in _ALWAYS_WORDS}))
)
# Only whole, and as the first or last of the few words in a segment: /job/x/build, /run-now.
_VERBS: Final = urltext.word_set(
    """
    abort accept add ack acknowledge apply approve assign ban block build buy cancel cart clear
    clone close commit complete convert copy create cron decline decrement deploy disable dislike
    dismiss do downvote drop edit empty enable enqueue enroll erase exec execute export favorite
    favourite finish flag flush follow generate hide import increment install invite join kick
    kill launch leave like lock mark markread merge migrate move mute order pause pay ping
    poweroff publish purchase push rate reboot rebuild recalculate redeem refresh refund reindex
    reject remind rename renew reopen replay resend reserve reset resolve restart restore resume
    retry rollback rsvp run save send share shutdown skip snooze spam start stop submit subscribe
    suspend switch sync toggle transfer trash trigger unban unblock undo unfollow unfriend unlike
    unlock unmark unstar unvote unwatch update upgrade upload upvote validate verify vote withdraw
    wipe

    abstimmen kaufen bestellen senden speichern hinzufugen zurucksetzen starten stoppen annuler
    commander effacer retirer valider voter activer ajouter envoyer anular anadir agregar quitar
    votar comprar salir sair activar ativar verificar enviar apagar adicionar esci vota aggiungi
    attiva invia sterge kopen stemmen toevoegen slet slett slette poista vahvista kop usun kup
    dodaj glosuj koupit sil kapat onayla купить голосовать
    """
)
# Parameters that say what to do, with any value.
_COMMANDS: Final = urltext.word_set("action do op cmd command task act exec execute operation")
_MAY_COMMAND: Final = urltext.word_set("mode method func function event a page p route r view")


def file_acts(url: str) -> bool:
    """Return whether a GET of a style sheet, script or image may act.

    The name of the file says what the file is for (``add-to-cart.js``), and the file does nothing.
    """
    directories = urltext.split(url.rpartition("/")[0]).segments
    return any(_ALWAYS.search("".join(urltext.words(segment))) for segment in directories)


def acts(url: str, more: Collection[str] = ()) -> bool:
    """Return whether a GET of this path, with or without a query, may act.

    ``more``: verbs of one service, in lower case and without accents.
    """
    parts = urltext.split(url)
    return any(_segment_acts(segment, more) for segment in parts.segments) or any(
        _parameter_acts(name, value, more) for name, value in parts.parameters
    )


def _segment_acts(text: str, more: Collection[str]) -> bool:
    words = urltext.words(_without_extension(text))
    if _ALWAYS.search("".join(words)):
        return True
    return 0 < len(words) <= _MAX_TITLE and (
        _is_verb(words[0], more) or _is_verb(words[-1], more) or "".join(words) in more
    )


def _without_extension(segment: str) -> str:
    stem, dot, extension = segment.rpartition(".")
    return stem if dot and stem and len(extension) <= 5 and extension.isalnum() else segment


def _is_verb(word: str, more: Collection[str]) -> bool:
    return word in _VERBS or word in more


def _parameter_acts(name: str, value: str, more: Collection[str]) -> bool:
    words = urltext.words(name)
    if not _COMMANDS.isdisjoint(words) or _ALWAYS.search("".join(words)):
        return True
    if any(_is_verb(word, more) for word in words) and not value.isdigit():
        return True
    if words and _is_verb(words[0], more) and words != ["start"]:
        return True
    values = urltext.words(value)
    if len(values) <= _MAX_TITLE and _ALWAYS.search("".join(values)):
        return True
    if "/" in value:
        return any(_segment_acts(segment, more) for segment in value.split("/"))
    return not _MAY_COMMAND.isdisjoint(words) and _segment_acts(value, more)
