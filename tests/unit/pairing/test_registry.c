/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "registry_folder.h"
#include <setjmp.h>

#include <math.h>

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
        .score_db = -0.25,
        .spread_db = 2.5,
        .rate_hz = 33.0,
        .level = SH_LEVEL_CALIBRATED,
        .policy = SH_POLICY_OFF,
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
    put.metres = put.score_db = put.spread_db = put.rate_hz = (double)NAN;
    assert_int_equal(sh_registry_put_device(registry, &put), SH_OK);
    strcpy(put.name, "renamed");
    assert_int_equal(sh_registry_put_device(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_device(registry, put.id, put.relation, &got), SH_OK);
    assert_string_equal(got.name, "renamed");
    assert_true(isnan(got.metres) && isnan(got.score_db) && isnan(got.spread_db) &&
                isnan(got.rate_hz));
    struct sh_device *list = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_list_devices(registry, 0, &list, &count), SH_OK);
    assert_int_equal(count, 4);
    free(list);
    sh_registry_close(registry);
}

static void states(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_device device;
    static const enum sh_device_state all[] = {SH_DEVICE_PENDING, SH_DEVICE_AUTHORISED,
                                               SH_DEVICE_EXPIRED, SH_DEVICE_REVOKED};
    fill(&device, 1);
    assert_int_equal(sh_registry_set_state(registry, device.id, device.relation, SH_DEVICE_REVOKED),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    for (size_t i = 0; i < SH_COUNT(all); i++) {
        struct sh_device got;
        assert_int_equal(sh_registry_set_state(registry, device.id, device.relation, all[i]),
                         SH_OK);
        assert_int_equal(sh_registry_get_device(registry, device.id, device.relation, &got), SH_OK);
        assert_int_equal(got.state, all[i]);
    }
    assert_int_equal(
        sh_registry_set_state(registry, device.id, device.relation, (enum sh_device_state)9),
        SH_INTERNAL_BUG);
    assert_string_equal(sh_device_state_name(SH_DEVICE_PENDING), "pending");
    assert_string_equal(sh_device_state_name(SH_DEVICE_AUTHORISED), "authorised");
    assert_string_equal(sh_device_state_name(SH_DEVICE_EXPIRED), "expired");
    assert_string_equal(sh_device_state_name(SH_DEVICE_REVOKED), "revoked");
    sh_registry_close(registry);
}

static void list_order_and_expiry(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_device device;
    struct sh_device *list = NULL;
    size_t count = 7;
    assert_int_equal(sh_registry_list_devices(registry, 0, &list, &count), SH_OK);
    assert_int_equal(count, 0);
    free(list);
    for (unsigned n = 0; n < 20; n++) {
        fill(&device, n);
        device.state = n == 4 ? SH_DEVICE_REVOKED : n == 5 ? SH_DEVICE_PENDING : device.state;
        assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    }
    fill(&device, 3);
    sh_registry_seen(registry, device.id, device.relation, 9999);
    /* Tokens end at 5000 + n; one that ends this second still counts. */
    assert_int_equal(sh_registry_list_devices(registry, 5010, &list, &count), SH_OK);
    assert_int_equal(count, 20);
    assert_int_equal(list[0].id[0], 3);
    assert_int_equal(list[0].last_seen, 9999);
    for (size_t i = 1; i < count; i++) {
        unsigned n = list[i].id[0];
        assert_true(list[i].last_seen <= list[i - 1].last_seen);
        enum sh_device_state wanted = n == 4   ? SH_DEVICE_REVOKED
                                      : n == 5 ? SH_DEVICE_PENDING
                                      : n < 10 ? SH_DEVICE_EXPIRED
                                               : SH_DEVICE_AUTHORISED;
        assert_int_equal(list[i].state, wanted);
    }
    free(list);
    /* Only the list computes it; what is stored stays. */
    assert_int_equal(sh_registry_get_device(registry, device.id, device.relation, &device), SH_OK);
    assert_int_equal(device.state, SH_DEVICE_AUTHORISED);
    sh_registry_close(registry);
}

static void list_is_bounded(void **state SH_UNUSED)
{
    struct sh_registry *registry = NULL;
    static struct sh_device device;
    struct sh_device *list = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_open(NULL, &registry), SH_OK);
    fill(&device, 1);
    assert_int_equal(sh_db_begin(registry), SH_OK);
    for (unsigned i = 0; i < 4100; i++) {
        memcpy(device.id, &i, sizeof(i));
        assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    }
    assert_int_equal(sh_db_end(registry, SH_OK), SH_OK);
    assert_int_equal(sh_registry_list_devices(registry, 0, &list, &count), SH_OK);
    assert_int_equal(count, 4096);
    free(list);
    sh_registry_close(registry);
}

/* Rows that a damaged or foreign file may hold are a cause, never a struct with garbage in it. */
static void damaged_rows(void **state SH_UNUSED)
{
    static const char *const damage[] = {
        "UPDATE devices SET id = x'0102'",
        "UPDATE devices SET serial = zeroblob(17)",
        "UPDATE devices SET public_key = zeroblob(257)",
        "UPDATE devices SET token = zeroblob(100000)",
        "UPDATE devices SET name = printf('%.*c', 65, 'x')",
        "UPDATE devices SET eid = printf('%.*c', 33, 'x')",
        "UPDATE devices SET state = 0",
        "UPDATE devices SET relation = 77",
        "UPDATE devices SET resolving_key = ''",
    };
    for (size_t i = 0; i < SH_COUNT(damage); i++) {
        struct sh_registry *registry = NULL;
        static struct sh_device device;
        struct sh_device *list = NULL;
        size_t count = 0;
        assert_int_equal(sh_registry_open(NULL, &registry), SH_OK);
        fill(&device, 1);
        assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
        assert_int_equal(sh_db_exec(registry, damage[i]), SH_OK);
        if (sh_registry_list_devices(registry, 0, &list, &count) != SH_ENV_REGISTRY)
            fail_msg("taken: %s", damage[i]);
        assert_null(list);
        sh_registry_close(registry);
    }
}

static void what_cannot_be_kept(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_device device;
    static const uint8_t roots[1025 * 32] = {0};
    struct sh_receipt receipt = {.roots = SH_BYTES(roots, sizeof(roots))};
    fill(&device, 1);
    device.token_len = SH_CERT_MAX + 1;
    assert_int_equal(sh_registry_put_device(registry, &device), SH_INTERNAL_BUG);
    fill(&device, 1);
    device.relation = (enum sh_device_relation)0;
    assert_int_equal(sh_registry_put_device(registry, &device), SH_INTERNAL_BUG);
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_INTERNAL_BUG);
    receipt.roots.n = 33;
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_INTERNAL_BUG);
    receipt.roots.n = 32;
    receipt.signature = SH_BYTES(roots, 257);
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_INTERNAL_BUG);
    sh_registry_close(registry);
}

static void revisions(void **state SH_UNUSED)
{
    struct sh_registry *one = open_it();
    struct sh_registry *two = open_it();
    static struct sh_device device;
    uint64_t last = 0;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t revision = 0;
        assert_int_equal(sh_registry_next_revision(i % 3 ? one : two, &revision), SH_OK);
        assert_true(revision > last);
        last = revision;
    }
    sh_registry_close(one);
    one = open_it();
    uint64_t revision = 0;
    assert_int_equal(sh_registry_next_revision(one, &revision), SH_OK);
    assert_true(revision > last);
    fill(&device, 1);
    assert_int_equal(sh_registry_set_last_revision(two, device.id, device.relation, 5),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_device(one, &device), SH_OK);
    assert_int_equal(sh_registry_set_last_revision(two, device.id, device.relation, UINT64_MAX),
                     SH_OK);
    assert_int_equal(sh_registry_get_device(one, device.id, device.relation, &device), SH_OK);
    assert_true(device.last_revision == UINT64_MAX);
    sh_registry_close(one);
    sh_registry_close(two);
}

static void received_items(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_received put, got;
    put = (struct sh_received){.size = UINT64_MAX, .mtime_ns = -5};
    memset(put.item_id, 1, sizeof(put.item_id));
    memset(put.root, 2, sizeof(put.root));
    memset(put.sha256, 3, sizeof(put.sha256));
    memset(put.path, 'p', sizeof(put.path) - 1);
    put.path[7] = '\xff'; /* a path is bytes */
    assert_int_equal(sh_registry_get_received(registry, put.item_id, &got), SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_received(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_received(registry, put.item_id, &got), SH_OK);
    assert_memory_equal(&got, &put, sizeof(put));
    put.size = 9;
    assert_int_equal(sh_registry_put_received(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_received(registry, put.item_id, &got), SH_OK);
    assert_int_equal(got.size, 9);
    sh_registry_close(registry);
}

/* Of one path there may be two while a file is about to be replaced; which one lies there is told by its size and time. */
static void received_at_a_path(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static const uint8_t other[SH_DEVICE_ID_SIZE] = {8};
    static struct sh_received old, fresh, got;
    old = (struct sh_received){
        .item_id = {1}, .anchor_id = {7}, .size = 5, .mtime_ns = 50, .path = "/a"};
    fresh = (struct sh_received){
        .item_id = {2}, .anchor_id = {7}, .size = 6, .mtime_ns = 60, .path = "/a"};
    assert_int_equal(sh_registry_put_received(registry, &old), SH_OK);
    assert_int_equal(sh_registry_put_received(registry, &fresh), SH_OK);
    assert_int_equal(sh_registry_find_received(registry, old.anchor_id, "/a", 5, 50, &got), SH_OK);
    assert_memory_equal(&got, &old, sizeof(old));
    assert_int_equal(sh_registry_find_received(registry, old.anchor_id, "/a", 6, 60, &got), SH_OK);
    assert_memory_equal(&got, &fresh, sizeof(fresh));
    assert_int_equal(sh_registry_find_received(registry, other, "/a", 5, 50, &got),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_find_received(registry, old.anchor_id, "/b", 5, 50, &got),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_find_received(registry, old.anchor_id, "/a", 5, 51, &got),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_find_received(registry, old.anchor_id, "/a", 4, 50, &got),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_settle_received(registry, &fresh), SH_OK);
    assert_int_equal(sh_registry_get_received(registry, old.item_id, &got), SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_get_received(registry, fresh.item_id, &got), SH_OK);
    sh_registry_close(registry);
}

static void receipts(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static const uint8_t roots[1024 * 32] = {5};
    struct sh_receipt receipt = {.device_id = {1},
                                 .time = 77,
                                 .roots = SH_BYTES(roots, sizeof(roots)),
                                 .signature = SH_BYTES(roots, 70)};
    uint64_t count = 9;
    assert_int_equal(sh_registry_count_receipts(registry, receipt.device_id, &count), SH_OK);
    assert_int_equal(count, 0);
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_OK);
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_OK);
    receipt.transfer_id[3] = 1;
    receipt.roots.n = 0;
    assert_int_equal(sh_registry_put_receipt(registry, &receipt), SH_OK);
    assert_int_equal(sh_registry_count_receipts(registry, receipt.device_id, &count), SH_OK);
    assert_int_equal(count, 2); /* the repeated one is one */
    receipt.device_id[0] = 2;
    assert_int_equal(sh_registry_count_receipts(registry, receipt.device_id, &count), SH_OK);
    assert_int_equal(count, 0);
    sh_registry_close(registry);
}

static void levels(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    struct sh_known_level put = {.adapter = "00:11:22:33:44:55",
                                 .dbm = -61.5,
                                 .spread_db = 3.25,
                                 .samples = 301,
                                 .positions = 40,
                                 .time = 1000};
    struct sh_known_level got;
    memset(put.id, 7, sizeof(put.id));
    assert_int_equal(sh_registry_get_level(registry, put.id, put.adapter, &got), SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_level(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_level(registry, put.id, put.adapter, &got), SH_OK);
    assert_memory_equal(got.id, put.id, sizeof(put.id));
    assert_string_equal(got.adapter, put.adapter);
    assert_true(fabs(got.dbm + 61.5) < 1e-9 && fabs(got.spread_db - 3.25) < 1e-9);
    assert_int_equal(got.samples, 301);
    assert_int_equal(got.positions, 40);
    assert_int_equal(got.time, 1000);
    /* Of another adapter it is not known; of any, the newest counts; a new one replaces the old one. */
    assert_int_equal(sh_registry_get_level(registry, put.id, "sim", &got), SH_LINKED_UNKNOWN);
    strcpy(put.adapter, "sim");
    put.time = 2000;
    put.dbm = -55.0;
    assert_int_equal(sh_registry_put_level(registry, &put), SH_OK);
    put.dbm = -56.0;
    assert_int_equal(sh_registry_put_level(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_level(registry, put.id, NULL, &got), SH_OK);
    assert_true(fabs(got.dbm + 56.0) < 1e-9);
    put.id[0] = 8;
    assert_int_equal(sh_registry_get_level(registry, put.id, NULL, &got), SH_LINKED_UNKNOWN);
    put.dbm = (double)NAN;
    assert_int_equal(sh_registry_put_level(registry, &put), SH_INTERNAL_BUG);
    sh_registry_close(registry);
}

static struct sh_transfer begun(unsigned n, const char *dir)
{
    struct sh_transfer t = {.kind = 1, .size = UINT64_MAX - n, .begun = 100 + n, .touched = 200};
    memset(t.item_id, (int)n, sizeof(t.item_id));
    memset(t.anchor_id, 9, sizeof(t.anchor_id));
    snprintf(t.name, sizeof(t.name), "a file; %u", n);
    snprintf(t.dir, sizeof(t.dir), "%s", dir);
    return t;
}

static void transfers(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_transfer put, got, *list;
    size_t count = 9;
    put = begun(1, "/a\xff"); /* a path is bytes */
    memset(put.name, 'n', sizeof(put.name) - 1);
    memset(put.dir + 3, 'd', sizeof(put.dir) - 4);
    assert_int_equal(sh_registry_get_transfer(registry, put.item_id, put.dir, &got),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_transfer(registry, put.item_id, put.dir, &got), SH_OK);
    assert_memory_equal(&got, &put, sizeof(put));
    /* Again: it began when it began. */
    put.begun = 900;
    put.touched = 901;
    assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    assert_int_equal(sh_registry_get_transfer(registry, put.item_id, put.dir, &got), SH_OK);
    assert_int_equal(got.begun, 101);
    assert_int_equal(got.touched, 901);
    /* The same item into another folder is another one. */
    put = begun(1, "/b");
    put.touched = 950;
    assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    assert_int_equal(sh_registry_list_transfers(registry, &list, &count), SH_OK);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].dir, "/b"); /* touched last */
    free(list);
    assert_int_equal(sh_registry_remove_transfer(registry, put.item_id, "/c"), SH_OK);
    assert_int_equal(sh_registry_remove_transfer(registry, put.item_id, "/b"), SH_OK);
    assert_int_equal(sh_registry_list_transfers(registry, &list, &count), SH_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(&list[0], &got, sizeof(got));
    free(list);
    sh_registry_close(registry);
}

/* Of the same name, folder and anchor, another item, the one that was touched last. */
static void transfers_of_a_name(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_transfer put, got;
    for (unsigned n = 1; n <= 6; n++) {
        put = begun(n, n == 4 ? "/b" : "/a");
        strcpy(put.name, n == 5 ? "another" : "name");
        put.anchor_id[0] = n == 6 ? 8 : 9;
        put.touched = n == 2 ? 201 : 200 + (n > 3);
        assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    }
    put = begun(1, "/a");
    assert_int_equal(
        sh_registry_find_transfer(registry, put.anchor_id, "name", "/a", put.item_id, &got), SH_OK);
    assert_int_equal(got.item_id[0], 2);
    put = begun(2, "/a");
    assert_int_equal(
        sh_registry_find_transfer(registry, put.anchor_id, "name", "/a", put.item_id, &got), SH_OK);
    assert_int_equal(got.item_id[0], 3); /* began later than 1 */
    put = begun(4, "/b");
    assert_int_equal(
        sh_registry_find_transfer(registry, put.anchor_id, "name", "/b", put.item_id, &got),
        SH_LINKED_UNKNOWN);
    sh_registry_close(registry);
}

static void transfers_in_a_batch(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_transfer put, *list;
    static struct sh_received received;
    size_t count = 9;
    assert_int_equal(sh_registry_batch_begin(registry), SH_OK);
    for (unsigned n = 0; n < 5; n++) {
        put = begun(n, "/a");
        assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
    }
    assert_int_equal(sh_registry_batch_end(registry, SH_OK), SH_OK);
    /* All of it or none. */
    assert_int_equal(sh_registry_batch_begin(registry), SH_OK);
    assert_int_equal(sh_registry_put_received(registry, &received), SH_OK);
    assert_int_equal(sh_registry_remove_transfer(registry, put.item_id, "/a"), SH_OK);
    assert_int_equal(sh_registry_batch_end(registry, SH_STORE_IO_ERROR), SH_STORE_IO_ERROR);
    assert_int_equal(sh_registry_get_received(registry, received.item_id, &received),
                     SH_LINKED_UNKNOWN);
    assert_int_equal(sh_registry_list_transfers(registry, &list, &count), SH_OK);
    assert_int_equal(count, 5);
    free(list);
    sh_registry_close(registry);
}

static void damaged_transfers(void **state SH_UNUSED)
{
    static const char *const damage[] = {
        "UPDATE transfers SET item_id = x'01'",
        "UPDATE transfers SET anchor_id = zeroblob(17)",
        "UPDATE transfers SET name = printf('%.*c', 256, 'x')",
        "UPDATE transfers SET dir = zeroblob(4096)",
    };
    for (size_t i = 0; i < SH_COUNT(damage); i++) {
        struct sh_registry *registry = NULL;
        static struct sh_transfer put, *list;
        size_t count = 0;
        assert_int_equal(sh_registry_open(NULL, &registry), SH_OK);
        put = begun(1, "/a");
        assert_int_equal(sh_registry_put_transfer(registry, &put), SH_OK);
        assert_int_equal(sh_db_exec(registry, damage[i]), SH_OK);
        if (sh_registry_list_transfers(registry, &list, &count) != SH_ENV_REGISTRY)
            fail_msg("taken: %s", damage[i]);
        assert_null(list);
        sh_registry_close(registry);
    }
}

/* When it was seen last, as another process finds it. */
static int64_t seen_of(unsigned n)
{
    struct sh_registry *other = open_it();
    static struct sh_device device, got;
    fill(&device, n);
    assert_int_equal(sh_registry_get_device(other, device.id, device.relation, &got), SH_OK);
    sh_registry_close(other);
    return got.last_seen;
}

/* Who was seen is written together: when it is asked for, when there are 64, and at the end; the last time of several counts. */
static void seen_together(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    static struct sh_device device;
    for (unsigned n = 0; n < 70; n++) {
        fill(&device, n);
        assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
    }
    for (unsigned n = 0; n < 64; n++) {
        fill(&device, n);
        sh_registry_seen(registry, device.id, device.relation, 7000 + n);
    }
    assert_int_equal(seen_of(0), 2000);
    fill(&device, 3);
    sh_registry_seen(registry, device.id, device.relation, 8000);
    assert_int_equal(seen_of(0), 7000);
    assert_int_equal(seen_of(63), 7063);
    assert_int_equal(seen_of(3), 7003);
    assert_int_equal(sh_registry_settle(registry), SH_OK);
    assert_int_equal(seen_of(3), 8000);
    /* Inside a batch none is written, and those that are too many are forgotten. */
    assert_int_equal(sh_registry_batch_begin(registry), SH_OK);
    for (unsigned n = 0; n < 70; n++) {
        fill(&device, n);
        sh_registry_seen(registry, device.id, device.relation, 9000 + n);
    }
    assert_int_equal(sh_registry_batch_end(registry, SH_OK), SH_OK);
    assert_int_equal(seen_of(5), 7005);
    sh_registry_close(registry);
    assert_int_equal(seen_of(5), 9005);
    assert_int_equal(seen_of(63), 9063);
    assert_int_equal(seen_of(64), 2064);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(devices_roundtrip),
        IN_FOLDER(states),
        IN_FOLDER(list_order_and_expiry),
        IN_FOLDER(seen_together),
        cmocka_unit_test(list_is_bounded),
        cmocka_unit_test(damaged_rows),
        IN_FOLDER(what_cannot_be_kept),
        IN_FOLDER(revisions),
        IN_FOLDER(received_items),
        IN_FOLDER(received_at_a_path),
        IN_FOLDER(receipts),
        IN_FOLDER(levels),
        IN_FOLDER(transfers),
        IN_FOLDER(transfers_of_a_name),
        IN_FOLDER(transfers_in_a_batch),
        cmocka_unit_test(damaged_transfers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
