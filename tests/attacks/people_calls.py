"""Calls of functions about people, of tenant acme, where birch has the same keys; see ``calls``."""

from __future__ import annotations

from tests.attacks.world import FAMILY, OF_BIRCH

_PEOPLE = {letter: f"usr_{letter * 24}" for letter in "abcde"}
_OWNER, _VIEWER, _GONE, _, _OF_BIRCH = _PEOPLE.values()
_INVITED, _ACCEPTED = "inv_" + "a" * 24, "inv_" + "b" * 24
_PERSONAL = "44444444-4444-4444-4444-444444444444"
"""Session of the viewer, in both tenants."""
_CHANGE = f"change_identity_provider('acme', '{FAMILY}'"
_NAME = "name_provider_subject('acme', 'at the provider'"
_NO_SIGN_IN = ("used before", "too late", "of a provider before", "only birch")
CALLS: dict[str, str | None] = {
    "sign_in_account('acme', 'a@x')": f"[('{_OWNER}', 'hash of zz-acme-only', True)]",
    f"begin_second_factor('acme', '{_PERSONAL}', '{_VIEWER}', 'sealed')": "[(True,)]",
    f"begin_second_factor('acme', '{_PERSONAL}', '{_OWNER}', 'sealed')": "[(False,)]",
    f"begin_second_factor('acme', '{OF_BIRCH}', '{_VIEWER}', 'sealed')": "[(False,)]",
    f"begin_second_factor('acme', '{_PERSONAL}', '{_OF_BIRCH}', 'sealed')": "[(False,)]",
    f"second_factor('acme', '{_OWNER}')": None,
    f"second_factor('acme', '{_OF_BIRCH}')": "[]",
    f"confirm_second_factor('acme', '{_PERSONAL}', '{_VIEWER}', 9, '{{h}}', '')": "[(False,)]",
    f"confirm_second_factor('acme', '{_PERSONAL}', '{_OWNER}', 9, '{{h}}', '')": "[(False,)]",
    f"use_code('acme', '{_OWNER}', 6)": "[(True,)]",
    f"use_code('acme', '{_OWNER}', 5)": "[(False,)]",
    f"use_code('acme', '{_VIEWER}', 6)": "[(False,)]",
    f"use_recovery_code('acme', '{_OWNER}', 'code', '')": "[(True,)]",
    f"use_recovery_code('acme', '{_VIEWER}', 'code', '')": "[(False,)]",
    f"use_recovery_code('acme', '{_OWNER}', 'only birch', '')": "[(False,)]",
    f"remove_second_factor('acme', '{_PERSONAL}', '{_OWNER}', '')": "[(True,)]",
    f"remove_second_factor('acme', '{OF_BIRCH}', '{_OWNER}', '')": "[(False,)]",
    f"remove_second_factor('acme', '{_PERSONAL}', '{_VIEWER}', '')": "[(False,)]",
    "begin_reset('acme', 'b@x', gen_random_uuid(), 'new', '1 h', '')": "[(True,)]",
    "begin_reset('acme', 'only birch', gen_random_uuid(), 'new', '1 h', '')": "[(False,)]",
    "begin_reset('acme', 'c@x', gen_random_uuid(), 'new', '1 h', '')": "[(False,)]",
    "reset_email('acme', 'reset')": "[('b@x',)]",
    **{f"reset_email('acme', '{token}')": "[(None,)]" for token in ("used", "past", "only birch")},
    "reset_password('acme', 'reset', 'hash', '')": "[(True,)]",
    **{f"reset_password('acme', '{token}', 'hash', '')": "[(False,)]" for token in ("used", "past", "only birch")},
    f"change_password('acme', '{_PERSONAL}', '{_VIEWER}', 'hash of zz-acme-only', 'new', '')": "[(True,)]",
    f"change_password('acme', '{_PERSONAL}', '{_VIEWER}', 'another', 'new', '')": "[(False,)]",
    f"change_password('acme', '{OF_BIRCH}', '{_VIEWER}', 'hash of zz-acme-only', 'new', '')": "[(False,)]",
    f"change_password('acme', '{_PERSONAL}', '{_OF_BIRCH}', 'hash of zz-birch-only', 'new', '')": "[(False,)]",
    "identity_provider('acme')": None,
    f"{_CHANGE}, 'idp_{'a' * 24}', 'idp_{'9' * 24}', 'https://n', 'c', 's', 'k1', '')": "[('changed',)]",
    f"{_CHANGE}, 'idp_{'a' * 24}', null, null, null, null, 'k1', '')": "[('changed',)]",
    f"{_CHANGE}, null, 'idp_{'9' * 24}', 'https://n', 'c', 's', 'k1', '')": "[('moved',)]",
    f"change_identity_provider('acme', '{OF_BIRCH}', 'idp_{'a' * 24}', null, null, null, null, 'k1', '')": (
        "[('ended',)]"
    ),
    f"take_sign_in_state('acme', 'new', 'idp_{'a' * 24}', 'c', '2999-01-01Z')": "[(True,)]",
    f"take_sign_in_state('acme', 'at the provider', 'idp_{'a' * 24}', 'c', '2999-01-01Z')": "[(False,)]",
    f"take_sign_in_state('acme', 'new', 'idp_{'b' * 24}', 'c', '2999-01-01Z')": "[(False,)]",
    f"take_sign_in_state('acme', 'new', 'idp_{'a' * 24}', 'c', '2000-01-01Z')": "[(False,)]",
    f"{_NAME}, 'subject', null, 'new', '1 h')": "[('found',)]",
    f"{_NAME}, 'subject of birch', null, 'new', '1 h')": "[('stranger',)]",
    f"{_NAME}, 'nobody', 'only birch', 'new', '1 h')": "[('stranger',)]",
    f"{_NAME}, 'nobody', 'zz-birch-only', 'new', '1 h')": "[('stranger',)]",
    f"{_NAME}, 'nobody', 'c@x', 'new', '1 h')": "[('stranger',)]",
    f"{_NAME}, 'nobody', 'b@x', 'new', '1 h')": "[('another',)]",
    f"{_NAME}, 'nobody', 'a@x', 'new', '1 h')": "[('found',)]",
    f"{_NAME}, 'nobody', 'zz-acme-only', 'new', '1 h')": "[('found',)]",
    "name_provider_subject('acme', 'none', 'subject', null, 'new', '1 h')": "[('stranger',)]",
    "provider_sign_in('acme', 'signed in')": f"[('zz-acme-only', '{_VIEWER}', 'b@x', False)]",
    f"finish_provider_sign_in('acme', 'signed in', 'usr_{'9' * 24}', '')": f"[('{_VIEWER}',)]",
    **{f"provider_sign_in('acme', '{token}')": "[]" for token in _NO_SIGN_IN},
    **{f"finish_provider_sign_in('acme', '{token}', 'usr_{'9' * 24}', '')": "[(None,)]" for token in _NO_SIGN_IN},
    "data_keys('acme')": "[(1, 'zz-acme-only')]",
    "take_data_key('acme', 1, 9)": "[(1,)]",
    "take_data_key('acme', 10, 9)": "[(None,)]",
    "add_data_key('acme', 2, 'wrapped')": "[('',)]",
    "sign_in_account('acme', 'c@x')": "[]",
    "record_failed_log_in('acme', 'a@x', true, '::1', '')": "[('',)]",
    "record_failed_log_in('acme', 'only birch', true, '::1', '')": "[('',)]",
    "sign_in_account('acme', 'only birch')": "[]",
    f"open_user_session('acme', '{_VIEWER}', '{OF_BIRCH}', 'new', '1 h', '1 h', '')": "[('viewer',)]",
    f"open_user_session('acme', '{_GONE}', '{OF_BIRCH}', 'new', '1 h', '1 h', '')": "[(None,)]",
    f"open_user_session('acme', '{_OF_BIRCH}', '{OF_BIRCH}', 'new', '1 h', '1 h', '')": "[(None,)]",
    f"user_session('acme', '{_PERSONAL}', '{_VIEWER}')": "[('viewer',)]",
    f"user_session('acme', '{_PERSONAL}', '{_OWNER}')": "[(None,)]",
    f"user_session('acme', '{FAMILY}', '{_VIEWER}')": "[(None,)]",
    f"session_end('acme', '{FAMILY}')": None,
    f"session_end('acme', '{OF_BIRCH}')": "[(None,)]",
    "users('acme', null, null, null, 100)": None,
    f"users('acme', '{_OF_BIRCH}', null, null, 100)": "[]",
    f"change_user('acme', '{FAMILY}', '{_VIEWER}', 'viewer', 'admin', 'k1', '')": "[('changed',)]",
    f"change_user('acme', '{FAMILY}', '{_VIEWER}', 'viewer', null, 'k1', '')": "[('changed',)]",
    f"change_user('acme', '{FAMILY}', '{_VIEWER}', 'analyst', 'admin', 'k1', '')": "[('moved',)]",
    f"change_user('acme', '{FAMILY}', '{_GONE}', 'admin', 'viewer', 'k1', '')": "[('moved',)]",
    f"change_user('acme', '{FAMILY}', '{_OF_BIRCH}', 'viewer', 'admin', 'k1', '')": "[('moved',)]",
    f"change_user('acme', '{FAMILY}', '{_OWNER}', 'owner', 'admin', 'k1', '')": "[('last_owner',)]",
    f"change_user('acme', '{FAMILY}', '{_OWNER}', 'owner', null, 'k1', '')": "[('last_owner',)]",
    f"change_user('acme', '{OF_BIRCH}', '{_VIEWER}', 'viewer', 'admin', 'k1', '')": "[('ended',)]",
    "invitations('acme', null, null, null, 100)": None,
    f"invitations('acme', 'inv_{'0' * 24}', null, null, 100)": "[]",
    f"create_invitation('acme', '{FAMILY}', 'inv_{'9' * 24}', 'n@x', 'viewer', 'h', '1 h', 'k1', '')": "[('made',)]",
    f"create_invitation('acme', '{FAMILY}', 'inv_{'9' * 24}', 'a@x', 'viewer', 'h', '1 h', 'k1', '')": "[('known',)]",
    f"create_invitation('acme', '{OF_BIRCH}', 'inv_{'9' * 24}', 'n@x', 'viewer', 'h', '1 h', 'k1', '')": (
        "[('ended',)]"
    ),
    f"revoke_invitation('acme', '{FAMILY}', '{_INVITED}', 'k1', '')": "[('revoked',)]",
    f"revoke_invitation('acme', '{FAMILY}', '{_ACCEPTED}', 'k1', '')": "[('unknown',)]",
    f"revoke_invitation('acme', '{FAMILY}', 'inv_{'0' * 24}', 'k1', '')": "[('unknown',)]",
    f"revoke_invitation('acme', '{OF_BIRCH}', '{_INVITED}', 'k1', '')": "[('ended',)]",
    "invited_email('acme', 'invited')": "[('zz-acme-only',)]",
    **{
        f"invited_email('acme', '{token}')": "[(None,)]"
        for token in ("accepted", "revoked", "past", "by a revoked key", "only birch")
    },
    f"accept_invitation('acme', 'invited', 'usr_{'9' * 24}', 'N', 'hash', '')": "[(True,)]",
    **{
        f"accept_invitation('acme', '{token}', 'usr_{'9' * 24}', 'N', 'hash', '')": "[(False,)]"
        for token in ("accepted", "revoked", "past", "by a revoked key", "only birch")
    },
    f"rehash_password('acme', '{_OWNER}', 'hash of zz-acme-only', 'better')": "[('',)]",
    f"rehash_password('acme', '{_OF_BIRCH}', 'hash of zz-birch-only', 'worse')": "[('',)]",
}
