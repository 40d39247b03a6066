/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pairing/returning.h"

static void counting(uint8_t *out, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(first + i);
}

static struct sh_secret key_of(unsigned resolving, unsigned id, unsigned serial)
{
    uint8_t r[SH_RESOLVING_KEY_SIZE], d[SH_DEVICE_ID_SIZE], s[SH_SERIAL_SIZE];
    struct sh_secret key;
    counting(r, sizeof(r), resolving);
    counting(d, sizeof(d), id);
    counting(s, sizeof(s), serial);
    assert_int_equal(sh_returning_key(r, d, s, &key), SH_OK);
    return key;
}

/* Computed with Python's hmac from the definition in the header. */
static void known_answers(void **state SH_UNUSED)
{
    static const uint8_t want_key[] = {0xf9, 0x39, 0xc9, 0x8e, 0x42, 0x4e, 0xde, 0x43,
                                       0xdb, 0xe7, 0xcc, 0xee, 0x50, 0x3c, 0x96, 0xc2,
                                       0xd3, 0x45, 0xf3, 0x49, 0x54, 0x2c, 0x89, 0x1c,
                                       0x97, 0xd2, 0xaf, 0x9d, 0xe2, 0x79, 0x42, 0x3f};
    static const uint8_t want_id[] = {0xc3, 0x4d, 0xfe, 0x55, 0x69, 0x17, 0xc5, 0x88,
                                      0x1e, 0x41, 0xc9, 0xeb, 0x69, 0x42, 0x9a, 0x98};
    struct sh_secret key = key_of(0, 16, 32);
    uint8_t nonce[SH_HELLO_NONCE], id[SH_RETURNING_ID_SIZE];
    counting(nonce, sizeof(nonce), 64);
    assert_memory_equal(key.b, want_key, sizeof(want_key));
    assert_int_equal(sh_returning_id(&key, nonce, id), SH_OK);
    assert_memory_equal(id, want_id, sizeof(id));
}

/* Another anchor, device, token or greeting: another identifier. */
static void everything_counts(void **state SH_UNUSED)
{
    static const unsigned rows[][4] = {
        {0, 16, 32, 64}, {1, 16, 32, 64}, {0, 17, 32, 64}, {0, 16, 33, 64}, {0, 16, 32, 65}};
    uint8_t ids[SH_COUNT(rows)][SH_RETURNING_ID_SIZE], nonce[SH_HELLO_NONCE];
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        struct sh_secret key = key_of(rows[i][0], rows[i][1], rows[i][2]);
        counting(nonce, sizeof(nonce), rows[i][3]);
        assert_int_equal(sh_returning_id(&key, nonce, ids[i]), SH_OK);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], SH_RETURNING_ID_SIZE);
    }
}

#define DEVICES 4

static void who_it_is(void **state SH_UNUSED)
{
    struct sh_device *devices = calloc(DEVICES, sizeof(*devices));
    assert_non_null(devices);
    uint8_t resolving[SH_RESOLVING_KEY_SIZE], nonce[SH_HELLO_NONCE], id[SH_RETURNING_ID_SIZE];
    counting(resolving, sizeof(resolving), 0);
    counting(nonce, sizeof(nonce), 64);
    for (unsigned i = 0; i < DEVICES; i++) {
        devices[i].relation = SH_DEVICE_IS_SECONDARY;
        devices[i].state = SH_DEVICE_AUTHORISED;
        counting(devices[i].id, sizeof(devices[i].id), 16 + i);
        counting(devices[i].serial, sizeof(devices[i].serial), 32);
    }
    struct sh_secret key = key_of(0, 18, 32);
    assert_int_equal(sh_returning_id(&key, nonce, id), SH_OK);
    assert_ptr_equal(sh_returning_resolve(devices, DEVICES, resolving, nonce, id), &devices[2]);
    /* None of them, one that may not come back, one that is our anchor, another greeting, another identifier. */
    assert_null(sh_returning_resolve(devices, 2, resolving, nonce, id));
    assert_null(sh_returning_resolve(devices, 0, resolving, nonce, id));
    devices[2].state = SH_DEVICE_REVOKED;
    assert_null(sh_returning_resolve(devices, DEVICES, resolving, nonce, id));
    devices[2].state = SH_DEVICE_AUTHORISED;
    devices[2].relation = SH_DEVICE_IS_ANCHOR;
    assert_null(sh_returning_resolve(devices, DEVICES, resolving, nonce, id));
    devices[2].relation = SH_DEVICE_IS_SECONDARY;
    nonce[15] ^= 1;
    assert_null(sh_returning_resolve(devices, DEVICES, resolving, nonce, id));
    nonce[15] ^= 1;
    id[15] ^= 1;
    assert_null(sh_returning_resolve(devices, DEVICES, resolving, nonce, id));
    free(devices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(everything_counts),
        cmocka_unit_test(who_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
