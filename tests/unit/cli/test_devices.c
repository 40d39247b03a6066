/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop devices` over a registry with three entries, in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/output_form.h"
#include "cli/verb.h"
#include "pairing/registry.h"
#include "proto/simhop.pb-c.h"

static char folder[64];

static sh_ms no_time(void *user)
{
    (void)user;
    return 0;
}

static void put(struct sh_registry *registry, uint8_t first, enum sh_device_relation relation,
                const char *name, int64_t not_after)
{
    struct sh_device device = {
        .id = {first, 0x11, 0x22},
        .relation = relation,
        .kind = SIMHOP__DEVICE_KIND__DEVICE_KIND_TABLET,
        .state = SH_DEVICE_AUTHORISED,
        .linked_at = 1700000000,
        .last_seen = 1700000000 + first,
        .not_after = not_after,
        .metres = 0.25,
        .proximity_samples = 90,
    };
    assert_true(sh_strcopy(device.name, sizeof(device.name), name));
    assert_int_equal(sh_registry_put_device(registry, &device), SH_OK);
}

static int set_up(void **state)
{
    (void)state;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    strcpy(folder, "/tmp/simhop-devices.XXXXXX");
    if (!mkdtemp(folder) || sh_registry_open(folder, &registry) != SH_OK)
        return -1;
    put(registry, 0xa1, SH_DEVICE_IS_SECONDARY, "tablet", INT64_C(4000000000));
    put(registry, 0xa2, SH_DEVICE_IS_SECONDARY, "same", INT64_C(4000000000));
    put(registry, 0xa3, SH_DEVICE_IS_SECONDARY, "same", 1700000001); /* its token is over */
    put(registry, 0xa1, SH_DEVICE_IS_ANCHOR, "tablet", INT64_C(4000000000));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {"registry.db", "registry.db-wal", "registry.db-shm"};
    for (size_t i = 0; i < SH_COUNT(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* Runs the verb with these words; *ret_text is what it printed. */
static enum sh_cause devices(bool json, char **ret_text, int argc, const char *const *words)
{
    char copies[4][64];
    char *argv[4] = {NULL};
    size_t size = 0;
    char *text = NULL;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    struct sh_output_target target = {.out = file, .err = stderr, .json = json, .now = no_time};
    struct sh_output *out = sh_output_new_on(&target);
    struct sh_common *values = calloc(1, sh_verb_devices.values_size);
    assert_non_null(out);
    assert_non_null(values);
    values->state = folder;
    for (int i = 0; i < argc; i++) {
        assert_true(sh_strcopy(copies[i], sizeof(copies[i]), words[i]));
        argv[i] = copies[i];
    }
    enum sh_cause cause = sh_verb_devices.run(values, out, argc, argv);
    free(values);
    sh_output_free(out);
    fclose(file);
    *ret_text = text;
    return cause;
}

#define DEVICES(json, text, ...)                                                                   \
    devices(json, text, (int)SH_COUNT(((const char *const[]){__VA_ARGS__})),                       \
            (const char *const[]){__VA_ARGS__})

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void list_shows_each_with_its_state(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(devices(false, &text, 0, NULL), SH_OK);
    assert_int_equal(occurrences(text, "\n"), 4);
    assert_int_equal(occurrences(text, "a1112200"), 2);
    assert_int_equal(occurrences(text, "authorised"), 3);
    assert_int_equal(occurrences(text, "expired"), 1);
    assert_true(strncmp(text, "a3112200", 8) == 0); /* last seen first */
    free(text);
}

static void json_has_a_line_each_and_a_count(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(DEVICES(true, &text, "list"), SH_OK);
    assert_int_equal(occurrences(text, "{\"event\":\"device\","), 4);
    assert_non_null(strstr(text, "{\"event\":\"devices\",\"t\":0.000,\"count\":4}\n"));
    assert_non_null(strstr(text, "\"id\":\"a3112200000000000000000000000000\",\"name\":\"same\","
                                 "\"relation\":\"secondary\",\"kind\":\"tablet\","
                                 "\"state\":\"expired\",\"eid\":null,\"linked_at\":1700000000,"));
    free(text);
}

static void show_takes_a_name_or_the_start_of_an_id(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(DEVICES(false, &text, "show", "tablet"), SH_OK);
    assert_int_equal(occurrences(text, "a1112200000000000000000000000000"), 2); /* both relations */
    free(text);
    assert_int_equal(DEVICES(false, &text, "show", "a311"), SH_OK);
    assert_int_equal(occurrences(text, "Id:  "), 1);
    assert_non_null(strstr(text, "0.2 m away, by 90 samples")); /* 0.25 to the nearest even */
    free(text);
}

static void what_is_not_clear_is_refused(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(DEVICES(false, &text, "show", "same"), SH_USAGE_BAD_OPTION);
    free(text);
    assert_int_equal(DEVICES(false, &text, "show", "a31"), SH_LINKED_UNKNOWN); /* too short */
    free(text);
    assert_int_equal(DEVICES(false, &text, "revoke", "nobody"), SH_LINKED_UNKNOWN);
    free(text);
}

static void revoke_ends_both_relations_and_nobody_else(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(DEVICES(false, &text, "revoke", "a1112200"), SH_OK);
    assert_non_null(strstr(text, "carrier"));
    free(text);
    assert_int_equal(devices(false, &text, 0, NULL), SH_OK);
    assert_int_equal(occurrences(text, "revoked"), 2);
    assert_int_equal(occurrences(text, "authorised"), 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(list_shows_each_with_its_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_has_a_line_each_and_a_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(show_takes_a_name_or_the_start_of_an_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_clear_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(revoke_ends_both_relations_and_nobody_else, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
