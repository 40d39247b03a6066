/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/keys.h"

#include "hex.h"

/* RFC 5869 test case 1, whose PRK has 32 octets and whose info is a C string. */
static void test_expand(void **state SH_UNUSED)
{
    struct sh_secret prk;
    uint8_t okm[42];
    unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", prk.b, 32);
    assert_ok(sh_hkdf_expand(&prk, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", okm, sizeof(okm)));
    assert_hex(
        okm, 42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    assert_cause(sh_hkdf_expand(&prk,
                                "0123456789012345678901234567890123456789012345678901234567890123",
                                okm, 1),
                 SH_INTERNAL_BUG);
}

static void counting(uint8_t *out, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(first + i);
}

/* Computed with Python's hmac from the definition in the header. */
static void test_derive(void **state SH_UNUSED)
{
    struct sh_secret k;
    uint8_t transcript[32];
    struct sh_session_keys keys, zero;
    counting(k.b, 32, 0);
    counting(transcript, 32, 32);
    assert_ok(sh_session_keys_derive(&k, transcript, &keys));
    assert_hex(keys.session_id, 16, "f686e0a2ba926b418bff52f681d494c4");
    assert_hex(keys.tls_psk.b, 32,
               "2a4a6acb9591d9f6bc991459f77090c8b430935f110143ddb63ae12979a980b0");
    sh_session_keys_wipe(&keys);
    memset(&zero, 0, sizeof(zero));
    assert_memory_equal(&keys, &zero, sizeof(zero));
    sh_session_keys_wipe(NULL);
}

static void test_derive_depends_on_both(void **state SH_UNUSED)
{
    struct sh_secret k;
    uint8_t transcript[32];
    struct sh_session_keys a, b;
    counting(k.b, 32, 0);
    counting(transcript, 32, 0);
    assert_ok(sh_session_keys_derive(&k, transcript, &a));
    transcript[31] ^= 1;
    assert_ok(sh_session_keys_derive(&k, transcript, &b));
    assert_memory_not_equal(&a.tls_psk, &b.tls_psk, 32);
    transcript[31] ^= 1;
    k.b[0] ^= 1;
    assert_ok(sh_session_keys_derive(&k, transcript, &b));
    assert_memory_not_equal(&a.tls_psk, &b.tls_psk, 32);
}

static void test_rotating_id(void **state SH_UNUSED)
{
    uint8_t key[SH_RESOLVING_KEY_SIZE], other[SH_RESOLVING_KEY_SIZE];
    uint8_t a[SH_ROTATING_ID_SIZE], b[SH_ROTATING_ID_SIZE];
    counting(key, sizeof(key), 0);
    counting(other, sizeof(other), 1);
    assert_ok(sh_rotating_id_new(key, a));
    assert_ok(sh_rotating_id_new(key, b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(sh_rotating_id_is_of(key, a));
    assert_true(sh_rotating_id_is_of(key, b));
    assert_false(sh_rotating_id_is_of(other, a));
    for (size_t i = 0; i < sizeof(a); i++) {
        a[i] ^= 1;
        assert_false(sh_rotating_id_is_of(key, a));
        a[i] ^= 1;
    }
}

static void test_rotating_id_known(void **state SH_UNUSED)
{
    uint8_t key[SH_RESOLVING_KEY_SIZE], id[SH_ROTATING_ID_SIZE];
    counting(key, sizeof(key), 0);
    unhex("010203d95c169d", id, sizeof(id));
    assert_true(sh_rotating_id_is_of(key, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_derive),
        cmocka_unit_test(test_derive_depends_on_both),
        cmocka_unit_test(test_rotating_id),
        cmocka_unit_test(test_rotating_id_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
