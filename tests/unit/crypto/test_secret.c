/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"

#include "hex.h"

static void test_wipe(void **state SH_UNUSED)
{
    struct sh_secret secret;
    const struct sh_secret zero = {.b = {0}};
    memset(&secret, 0xa5, sizeof(secret));
    sh_secret_wipe(&secret);
    assert_memory_equal(&secret, &zero, sizeof(zero));
    sh_secret_wipe(NULL);
    sh_wipe(NULL, 0);
}

static void test_wipe_leaves_neighbours(void **state SH_UNUSED)
{
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const uint8_t want[8] = {1, 2, 0, 0, 0, 6, 7, 8};
    sh_wipe(bytes + 2, 3);
    assert_memory_equal(bytes, want, sizeof(want));
}

static void test_equal(void **state SH_UNUSED)
{
    uint8_t a[32], b[32];
    memset(a, 7, sizeof(a));
    memset(b, 7, sizeof(b));
    assert_true(sh_equal(a, b, sizeof(a)));
    assert_true(sh_equal(a, b, 0));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 0x80;
        assert_false(sh_equal(a, b, sizeof(a)));
        assert_true(sh_equal(a, b, i));
        b[i] ^= 0x80;
    }
}

static void test_random(void **state SH_UNUSED)
{
    uint8_t a[32] = {0}, b[32] = {0};
    assert_ok(sh_random(a, sizeof(a)));
    assert_ok(sh_random(b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_ok(sh_random(a, 0));
}

/* FIPS 180-4 examples, in pieces. */
static void test_sha256(void **state SH_UNUSED)
{
    uint8_t out[32];
    const struct sh_bytes abc[] = {SH_BYTES("a", 1), SH_BYTES(NULL, 0), SH_BYTES("bc", 2)};
    assert_ok(sh_sha256(abc, SH_COUNT(abc), out));
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_ok(sh_sha256(NULL, 0, out));
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231 test case 2, and one without key and message. */
static void test_hmac(void **state SH_UNUSED)
{
    uint8_t out[32];
    assert_ok(
        sh_hmac_sha256(SH_BYTES("Jefe", 4), SH_BYTES("what do ya want for nothing?", 28), out));
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_ok(sh_hmac_sha256(SH_BYTES(NULL, 0), SH_BYTES(NULL, 0), out));
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wipe),   cmocka_unit_test(test_wipe_leaves_neighbours),
        cmocka_unit_test(test_equal),  cmocka_unit_test(test_random),
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_hmac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
