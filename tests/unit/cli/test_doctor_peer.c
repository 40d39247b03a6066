/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `doctor --peer` says of devices that it does not have to dial, by the registry alone. */
#include "cli/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/identity.h"
#include "pairing/registry.h"
#include "unit/proto/check.h"

static char folder[] = "/tmp/simhop-doctor.XXXXXX";
static struct sh_doctor doctor;
static struct sh_finding findings[16];
static struct {
    char name[65];
    int64_t token_until, last_seen;
} peers[16];
static size_t count;

static void on_finding(const char *name, const struct sh_finding *finding, void *user SH_UNUSED)
{
    assert_string_equal(name, "peer"); /* nothing was dialled */
    assert_true(count < SH_COUNT(findings));
    findings[count] = *finding;
    if (finding->peer) {
        assert_true(sh_strcopy(peers[count].name, sizeof(peers[count].name), finding->peer->name));
        peers[count].token_until = finding->peer->token_until;
        peers[count].last_seen = finding->peer->last_seen;
        assert_null(finding->peer->address);
    }
    findings[count++].peer = NULL;
}

static void look(const char *name)
{
    count = 0;
    doctor.peer_name = name;
    sh_doctor_peers(&doctor, on_finding, NULL);
}

static void put(const char *name, enum sh_device_relation relation, enum sh_device_state state,
                int64_t left)
{
    struct sh_registry *registry = NULL;
    struct sh_device device = {.relation = relation,
                               .state = state,
                               .last_seen = 1700000000,
                               .not_after = (int64_t)time(NULL) + left,
                               .public_key_len = 1};
    assert_true(sh_strcopy(device.name, sizeof(device.name), name));
    memcpy(device.id, name, SH_MIN(strlen(name), sizeof(device.id)));
    assert_ok(sh_registry_open(folder, &registry));
    assert_ok(sh_registry_put_device(registry, &device));
    sh_registry_close(registry);
}

static int setup(void **state SH_UNUSED)
{
    struct sh_identity *identity = NULL;
    strcpy(folder, "/tmp/simhop-doctor.XXXXXX");
    if (!mkdtemp(folder) || sh_identity_load(folder, &identity) != SH_OK)
        return -1;
    sh_identity_free(identity);
    doctor = (struct sh_doctor){.common = {.state = folder, .name = "tablet"}, .peer = true};
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command);
}

static void expect(size_t i, enum sh_finding_level level, enum sh_cause cause, const char *name)
{
    assert_true(i < count);
    assert_int_equal(findings[i].level, level);
    assert_cause(findings[i].cause, cause);
    assert_string_equal(peers[i].name, name);
}

static void nobody_is_linked(void **state SH_UNUSED)
{
    look(NULL);
    assert_int_equal(count, 1);
    assert_cause(findings[0].cause, SH_LINKED_UNKNOWN);
    assert_int_equal(findings[0].level, SH_PROBLEM);
    assert_string_equal(findings[0].text, "no device is linked");
}

static void another_name(void **state SH_UNUSED)
{
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_AUTHORISED, 1000);
    look("phone");
    assert_int_equal(count, 1);
    assert_cause(findings[0].cause, SH_LINKED_UNKNOWN);
    assert_string_equal(findings[0].text, "phone: no linked device has this name");
}

static void a_token_that_is_over(void **state SH_UNUSED)
{
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_AUTHORISED, -1000);
    look(NULL);
    assert_int_equal(count, 1);
    expect(0, SH_PROBLEM, SH_LINKED_EXPIRED, "anchor");
    assert_int_equal(peers[0].last_seen, 1700000000);
    assert_true(peers[0].token_until < (int64_t)time(NULL));
    assert_non_null(strstr(findings[0].text, "token is over"));
}

static void a_device_that_was_revoked_here(void **state SH_UNUSED)
{
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_REVOKED, 1000);
    look("anchor");
    assert_int_equal(count, 1);
    expect(0, SH_PROBLEM, SH_LINKED_REVOKED, "anchor");
}

/* Linked without a network, say. */
static void no_address_is_known(void **state SH_UNUSED)
{
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_AUTHORISED, 1000);
    look(NULL);
    assert_int_equal(count, 1);
    expect(0, SH_PROBLEM, SH_LINK_NO_ADDRESS, "anchor");
}

/* A problem only if nothing else was asked for. */
static void a_secondary_only_dials(void **state SH_UNUSED)
{
    put("watch", SH_DEVICE_IS_SECONDARY, SH_DEVICE_AUTHORISED, 1000);
    look(NULL);
    assert_int_equal(count, 1);
    expect(0, SH_PROBLEM, SH_LINK_ONLY_DIALS, "watch");
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_AUTHORISED, 1000);
    look(NULL);
    assert_int_equal(count, 2);
    size_t watch = strcmp(peers[0].name, "watch") == 0 ? 0 : 1;
    expect(watch, SH_WARNING, SH_LINK_ONLY_DIALS, "watch");
    expect(1 - watch, SH_PROBLEM, SH_LINK_NO_ADDRESS, "anchor");
    look("watch");
    assert_int_equal(count, 1);
    expect(0, SH_PROBLEM, SH_LINK_ONLY_DIALS, "watch");
}

static void networks_are_not_allowed(void **state SH_UNUSED)
{
    put("anchor", SH_DEVICE_IS_ANCHOR, SH_DEVICE_AUTHORISED, 1000);
    doctor.common.links = "ble,wifi-direct";
    look(NULL);
    assert_int_equal(count, 1);
    assert_cause(findings[0].cause, SH_LINK_NONE);
    doctor.common.links = NULL;
    doctor.common.wifi = "none";
    look(NULL);
    assert_cause(findings[0].cause, SH_LINK_NONE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_linked),         TEST(another_name),
        TEST(a_token_that_is_over),     TEST(a_device_that_was_revoked_here),
        TEST(no_address_is_known),      TEST(a_secondary_only_dials),
        TEST(networks_are_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
