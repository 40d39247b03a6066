/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where an anchor was reached last, as the registry keeps it. */
#include "registry_folder.h"
#include <setjmp.h>

#include "pairing/registry_db.h"

static struct sh_addresses full(uint8_t id)
{
    struct sh_addresses addresses = {.port = 65535, .count = SH_ADDRESSES_MAX};
    memset(addresses.id, id, sizeof(addresses.id));
    for (size_t i = 0; i < addresses.count; i++) {
        addresses.list[i].len = i % 3 == 0 ? 4 : 16;
        memset(addresses.list[i].bytes, (int)(i + 1), addresses.list[i].len);
    }
    return addresses;
}

/* They outlive the process, each anchor has its own, and the last ones count. */
static void are_kept(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    struct sh_addresses put = full(1), other = full(2), got;
    other.count = 1;
    other.port = 1;
    assert_int_equal(sh_registry_get_addresses(registry, put.id, &got), SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_addresses(registry, &other), SH_OK);
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_OK);
    sh_registry_close(registry);
    registry = open_it();
    assert_int_equal(sh_registry_get_addresses(registry, put.id, &got), SH_OK);
    assert_memory_equal(&got, &put, sizeof(put));
    put.port = 4711;
    put.list[0].bytes[3] = 200;
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_addresses(registry, put.id, &got), SH_OK);
    assert_int_equal(got.port, 4711);
    assert_int_equal(got.list[0].bytes[3], 200);
    assert_int_equal(sh_registry_get_addresses(registry, other.id, &got), SH_OK);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.port, 1);
    sh_registry_close(registry);
}

static void what_is_none_is_not_kept(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    struct sh_addresses put = full(1), got;
    put.port = 0;
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_INTERNAL_BUG);
    put = full(1);
    put.count = 0;
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_INTERNAL_BUG);
    put = full(1);
    put.count = SH_ADDRESSES_MAX + 1;
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_INTERNAL_BUG);
    put = full(1);
    put.list[2].len = 6;
    assert_int_equal(sh_registry_put_addresses(registry, &put), SH_INTERNAL_BUG);
    assert_int_equal(sh_registry_get_addresses(registry, put.id, &got), SH_LINKED_UNKNOWN);
    sh_registry_close(registry);
}

static void damaged(void **state SH_UNUSED)
{
    static const char *const damage[] = {
        "UPDATE addresses SET port = 0",
        "UPDATE addresses SET port = 65536",
        "UPDATE addresses SET port = -1",
        "UPDATE addresses SET list = x''",
        "UPDATE addresses SET list = x'04010203'",
        "UPDATE addresses SET list = x'040102030405'",
        "UPDATE addresses SET list = x'0601020304050607'",
        "UPDATE addresses SET list = zeroblob(205)",
        ("UPDATE addresses SET list = CAST(replace(hex(zeroblob(13)), '00',"
         " CAST(x'0461626364' AS TEXT)) AS BLOB)"),
    };
    for (size_t i = 0; i < SH_COUNT(damage); i++) {
        struct sh_registry *registry = NULL;
        struct sh_addresses put = full(1), got = {0};
        assert_int_equal(sh_registry_open(NULL, &registry), SH_OK);
        assert_int_equal(sh_registry_put_addresses(registry, &put), SH_OK);
        assert_int_equal(sh_db_exec(registry, damage[i]), SH_OK);
        if (sh_registry_get_addresses(registry, put.id, &got) != SH_ENV_REGISTRY)
            fail_msg("taken: %s", damage[i]);
        assert_int_equal(got.count, 0);
        sh_registry_close(registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(are_kept),
        IN_FOLDER(what_is_none_is_not_kept),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
