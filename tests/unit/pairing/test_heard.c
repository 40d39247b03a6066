/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which identifiers were heard, and which were sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pairing/heard.h"

static const uint8_t *id_of(unsigned n)
{
    static uint8_t id[SH_ROTATING_ID_SIZE];
    id[0] = (uint8_t)(n >> 8);
    id[6] = (uint8_t)n;
    return id;
}

static void the_newest_are_kept_with_their_best_level(void **state SH_UNUSED)
{
    struct sh_heard_ids heard = {0};
    for (unsigned n = 0; n < 300; n++) {
        sh_heard_add(&heard, id_of(n), -70);
        sh_heard_add(&heard, id_of(n), n % 2 ? -60 : -80);
        assert_int_equal(heard.count, SH_MIN(n + 1, (unsigned)SH_HEARD_MAX));
    }
    for (unsigned i = 0; i < SH_HEARD_MAX; i++) {
        unsigned n = 300 - SH_HEARD_MAX + i;
        assert_memory_equal(heard.ids[i].id, id_of(n), SH_ROTATING_ID_SIZE);
        assert_int_equal(heard.ids[i].dbm, n % 2 ? -60 : -70);
    }
}

/* The power with which this one is known to have been sent; 1: it is not known. */
static int power_of(const struct sh_sent_ids *sent, unsigned n, sh_ms now)
{
    struct sh_heard_id known[SH_SENT_MAX];
    size_t count = sh_sent_stepped(sent, now, known);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(known[i].id, id_of(n), sizeof(known[i].id)) == 0)
            return known[i].dbm;
    }
    return 1;
}

/* One that is on the air is good for ever, one that was for a minute. */
static void what_was_sent_is_known_for_a_minute(void **state SH_UNUSED)
{
    struct sh_sent_ids sent = {0};
    assert_int_equal(power_of(&sent, 1, 0), 1);
    sh_sent_add(&sent, id_of(1), -16, 1000);
    assert_int_equal(power_of(&sent, 1, 1000000), -16);
    assert_int_equal(power_of(&sent, 2, 1000), 1);
    sh_sent_add(&sent, id_of(2), -8, 5000);
    assert_int_equal(power_of(&sent, 1, 5000 + SH_SENT_MS - 1), -16);
    assert_int_equal(power_of(&sent, 1, 5000 + SH_SENT_MS), 1);
    assert_int_equal(power_of(&sent, 2, 5000 + SH_SENT_MS), -8);
    /* Who did not lower its power learns nothing from what was heard. */
    sh_sent_as_usual(&sent);
    assert_int_equal(power_of(&sent, 2, 6000), 1);
}

/* With a new one each second there is room for all that are good. */
static void a_minute_of_them_fits(void **state SH_UNUSED)
{
    struct sh_sent_ids sent = {0};
    for (unsigned n = 0; n < 200; n++)
        sh_sent_add(&sent, id_of(n), -8, n * 1000);
    sh_ms now = 199 * 1000 + 500;
    for (unsigned n = 0; n < 200; n++)
        assert_int_equal(power_of(&sent, n, now) < 0, (n + 1) * 1000 + SH_SENT_MS > now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept_with_their_best_level),
        cmocka_unit_test(what_was_sent_is_known_for_a_minute),
        cmocka_unit_test(a_minute_of_them_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
