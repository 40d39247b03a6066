/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pairing/advert.h"

static const struct sh_advert example = {
    .version = 1, .psm = 0x83, .ref1m_dbm = -59, .id = {1, 2, 3, 4, 5, 6, 7}};

/* Decodes a copy in a buffer of exactly that size, so that a sanitizer sees any read beyond it. */
static enum sh_cause decode(const uint8_t *bytes, size_t n, struct sh_advert *ret_advert)
{
    uint8_t *copy = n <= 1024 ? malloc(n > 0 ? n : 1) : NULL;
    if (!copy) {
        fail();
        return SH_ENV_NO_MEMORY;
    }
    if (n > 0)
        memcpy(copy, bytes, n);
    enum sh_cause cause = sh_advert_decode(SH_BYTES(copy, n), ret_advert);
    free(copy);
    return cause;
}

static void roundtrip(void **state SH_UNUSED)
{
    static const int8_t levels[] = {-127, -59, 0, 20, SH_ADVERT_UNKNOWN_POWER};
    for (size_t i = 0; i < SH_COUNT(levels); i++) {
        struct sh_advert put = example;
        struct sh_advert got;
        uint8_t payload[SH_ADVERT_MAX];
        put.ref1m_dbm = levels[i];
        assert_int_equal(decode(payload, sh_advert_encode(&put, payload), &got), SH_OK);
        assert_memory_equal(&got, &put, sizeof(got));
    }
}

/* The octets themselves, since others write peers from docs/protocol.md. */
static void octets_and_budget(void **state SH_UNUSED)
{
    static const uint8_t wanted[31] = {2,    0x01, 0x06, 27,   0x21, 0x72, 0xa5, 0xfb,
                                       0xea, 0xb4, 0xbc, 0x6a, 0x9a, 0x7f, 0x41, 0xaa,
                                       0x34, 0xf8, 0x1f, 0x4d, 0x12, 1,    0x83, 0xc5,
                                       1,    2,    3,    4,    5,    6,    7};
    uint8_t payload[SH_ADVERT_MAX];
    assert_int_equal(sh_advert_encode(&example, payload), sizeof(wanted));
    assert_memory_equal(payload, wanted, sizeof(wanted));
    /* The text form, which BlueZ wants, is the same number the other way round. */
    char text[37];
    char hex[33];
    uint8_t big[16];
    for (size_t i = 0; i < 16; i++)
        big[i] = sh_advert_uuid[15 - i];
    sh_hex(big, 16, hex);
    for (size_t i = 0, j = 0; j < 36; j++)
        text[j] = j == 8 || j == 13 || j == 18 || j == 23 ? '-' : hex[i++];
    text[36] = '\0';
    assert_string_equal(text, sh_advert_uuid_text);
}

/* The octet that states the level, for a sender whose power is lowered. */
static void a_step_is_stated(void **state SH_UNUSED)
{
    static const struct {
        int db;
        uint8_t octet;
        int8_t says_db;
    } steps[] = {{0, 0x01, 0},     {-4, 0x21, -4},   {-8, 0x41, -8}, {-7, 0x21, -4},
                 {-16, 0x81, -16}, {-40, 0x81, -16}, {8, 0x01, 0}};
    for (size_t i = 0; i < SH_COUNT(steps); i++) {
        struct sh_advert put = example, got;
        uint8_t data[SH_ADVERT_SERVICE_DATA];
        sh_advert_step(&put, steps[i].db);
        sh_advert_service_data(&put, data);
        assert_int_equal(data[0], steps[i].octet);
        assert_int_equal(sh_advert_decode_service_data(SH_BYTES(data, sizeof(data)), &got), SH_OK);
        assert_int_equal(got.version, SH_ADVERT_VERSION);
        assert_int_equal(got.power_db, steps[i].says_db);
        assert_int_equal(got.ref1m_dbm, example.ref1m_dbm); /* that of the usual power */
    }
    /* There and back. */
    struct sh_advert advert = example;
    sh_advert_step(&advert, -16);
    sh_advert_step(&advert, 16);
    assert_int_equal(advert.power_db, 0);
    /* Somebody else says more than any radio of ours lowers: it would sound near. */
    struct sh_advert got;
    const uint8_t data[SH_ADVERT_SERVICE_DATA] = {0xe1, 0x83, 0xc5};
    assert_int_equal(sh_advert_decode_service_data(SH_BYTES(data, sizeof(data)), &got), SH_OK);
    assert_int_equal(got.power_db, -SH_ADVERT_LOWER_MAX);
}

static void every_truncation(void **state SH_UNUSED)
{
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert untouched;
    assert_int_equal(sh_advert_encode(&example, payload), sizeof(payload));
    memset(&untouched, 0xee, sizeof(untouched));
    for (size_t cut = 0; cut < sizeof(payload); cut++) {
        struct sh_advert got = untouched;
        assert_int_equal(decode(payload, cut, &got), SH_PROTO_MALFORMED);
        assert_memory_equal(&got, &untouched, sizeof(got));
        /* The same with a length that owns up to the cut. */
        if (cut > 4) {
            uint8_t honest[SH_ADVERT_MAX];
            memcpy(honest, payload, cut);
            honest[3] = (uint8_t)(cut - 4);
            assert_int_equal(decode(honest, cut, &got), SH_PROTO_MALFORMED);
        }
    }
}

static void foreign_structures(void **state SH_UNUSED)
{
    uint8_t bytes[255] = {0};
    uint8_t ours[SH_ADVERT_MAX];
    struct sh_advert got;
    size_t n = sh_advert_encode(&example, ours);
    /* Foreign ones before: a name, another service's data, manufacturer data, an empty type. */
    static const uint8_t before[] = {5, 0x09, 'P', 'h', 'o', 'n', 3, 0x16, 0x0f, 0x18, 1, 0xff};
    memcpy(bytes, before, sizeof(before));
    memcpy(bytes + sizeof(before), ours, n);
    assert_int_equal(decode(bytes, sizeof(before) + n, &got), SH_OK);
    assert_memory_equal(&got, &example, sizeof(got));
    /* A cut one after ours does not matter, one before does. */
    bytes[sizeof(before) + n] = 200;
    assert_int_equal(decode(bytes, sizeof(before) + n + 1, &got), SH_OK);
    bytes[0] = 254;
    assert_int_equal(decode(bytes, sizeof(before) + n, &got), SH_PROTO_MALFORMED);
    /* Nothing counts after an early end. */
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes + 1, ours, n);
    assert_int_equal(decode(bytes, 1 + n, &got), SH_PROTO_MALFORMED);
    /* Another UUID is not ours. */
    ours[20] ^= 1;
    assert_int_equal(decode(ours, n, &got), SH_PROTO_MALFORMED);
    ours[20] ^= 1;
    /* A newer peer has more octets, and a higher version. */
    memcpy(bytes, ours, n);
    bytes[3] += 5;
    bytes[21] = 9;
    assert_int_equal(decode(bytes, n + 5, &got), SH_OK);
    assert_int_equal(got.version, 9);
    /* More than a report can hold. */
    static uint8_t long_one[300];
    memcpy(long_one, ours, n);
    assert_int_equal(decode(long_one, 255, &got), SH_OK);
    assert_int_equal(decode(long_one, 256, &got), SH_PROTO_MALFORMED);
}

static void bad_values(void **state SH_UNUSED)
{
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert got;
    size_t n = sh_advert_encode(&example, payload);
    payload[21] = 0;
    assert_int_equal(decode(payload, n, &got), SH_PROTO_UNKNOWN_VERSION);
    payload[21] = 1;
    payload[22] = 0x7f;
    assert_int_equal(decode(payload, n, &got), SH_PROTO_MALFORMED);
    payload[22] = 0x80;
    static const uint8_t no_levels[] = {21, 126, 127, 128};
    for (size_t i = 0; i < SH_COUNT(no_levels); i++) {
        payload[23] = no_levels[i];
        assert_int_equal(decode(payload, n, &got), SH_OK);
        assert_int_equal(got.ref1m_dbm, SH_ADVERT_UNKNOWN_POWER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roundtrip),          cmocka_unit_test(a_step_is_stated),
        cmocka_unit_test(octets_and_budget),  cmocka_unit_test(every_truncation),
        cmocka_unit_test(foreign_structures), cmocka_unit_test(bad_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
