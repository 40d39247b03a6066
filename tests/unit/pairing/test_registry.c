/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/registry_db.h"

static char folder[64];

static int make_folder(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state SH_UNUSED)
{
    static const char *const names[] = {"registry.db", "registry.db-wal", "registry.db-shm"};
    char path[128];
    for (size_t i = 0; i < SH_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static struct sh_registry *open_it(void)
{
    struct sh_registry *registry = NULL;
    assert_int_equal(sh_registry_open(folder, &registry), SH_OK);
    return registry;
}

/* A device with every field set, differing by n. */
static void fill(struct sh_device *device, unsigned n)
{
    *device = (struct sh_device){
        .relation = SH_DEVICE_IS_ANCHOR,
        .kind = 2,
        .state = SH_DEVICE_AUTHORISED,
        .linked_at = 1000 + n,
        .last_seen = 2000 + n,
        .not_after = 5000 + n,
        .epoch = UINT64_MAX - n,
        .last_revision = (uint64_t)1 << 63 | n,
        .public_key_len = 91,
        .token_len = SH_CERT_MAX,
        .ca_len = 3,
        .metres = 0.5,
        .proximity_samples = 77,
    };
    memset(device->id, (int)n, sizeof(device->id));
    memset(device->serial, 0x11, sizeof(device->serial));
    memset(device->public_key, 0x22, device->public_key_len);
    memset(device->token, 0x33, device->token_len);
    memset(device->ca, 0x44, device->ca_len);
    memset(device->resolving_key, 0x55, sizeof(device->resolving_key));
    snprintf(device->name, sizeof(device->name), "Zo\xc3\xab's phone '; DROP TABLE devices; %u", n);
    strcpy(device->eid, "89049032123451234512345678901235");
}

static void devices_roundtrip(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_device put, got;
    for (unsigned n = 0; n < 3; n++) {
        fill(&put, n);
        assert_int_equal(sh_registry_put_device(registry, &put), SH_OK);
        memset(&got, 0, sizeof(got));
        assert_int_equal(sh_registry_get_device(registry, put.id, put.relation, &got), SH_OK);
        assert_memory_equal(&got, &put, sizeof(put));
    }
    assert_int_equal(sh_registry_get_device(registry, put.id, SH_DEVICE_IS_SECONDARY, &got),
                     SH_LINKED_UNKNOWN);
    /* The same id in the other relation is another entry; the same key again replaces. */
    put.relation = SH_DEVICE_IS_SECONDARY;
    put.metres = (double)NAN;
    assert_int_equal(sh_registry_put_device(registry, &put), SH_OK);
    strcpy(put.name, "renamed");
    assert_int_equal(sh_registry_put_device(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_device(registry, put.id, put.relation, &got), SH_OK);
    assert_string_equal(got.name, "renamed");
    assert_true(isnan(got.metres));
    struct sh_device *list = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_list_devices(registry, 0, &list, &count), SH_OK);
    assert_int_equal(count, 4);
    free(list);
    sh_registry_close(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(devices_roundtrip, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
