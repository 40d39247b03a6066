/* SPDX-License-Identifier: GPL-3.0-or-later */
/* After what a device is looked for once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/again.h"

#define NOW 1000000

static enum sh_again_step after(enum sh_cause cause, bool brought)
{
    struct sh_again again = SH_AGAIN_INIT;
    return sh_again_over(&again, cause, brought, false, NOW);
}

/* The links are gone; that one of them had something in its way before makes no difference. */
static void lost_links_are_looked_for(void **state SH_UNUSED)
{
    static const enum sh_cause causes[] = {
        SH_CONNECT_LOST,       SH_TRANSFER_STALLED,  SH_LINK_NONE, SH_RECEIPT_TIMEOUT,
        SH_LINK_FIREWALL_DROP, SH_LINK_OUT_OF_REACH, SH_LINK_MTU};
    for (size_t i = 0; i < SH_COUNT(causes); i++) {
        assert_int_equal(after(causes[i], true), SH_AGAIN_BY_LOSS);
        assert_int_equal(after(causes[i], false), SH_AGAIN_NO);
    }
}

static void the_rest_is_an_end(void **state SH_UNUSED)
{
    static const enum sh_cause causes[] = {SH_OK, SH_LINK_PEER_HUNG, SH_SESSION_PEER_STOPPED,
                                           SH_STORE_NO_SPACE, SH_TRANSFER_SOURCE_CHANGED};
    for (size_t i = 0; i < SH_COUNT(causes); i++)
        assert_int_equal(after(causes[i], true), SH_AGAIN_NO);
}

/* What was wrong first is told in the end. */
static void the_first_cause_stays(void **state SH_UNUSED)
{
    struct sh_again again = SH_AGAIN_INIT;
    (void)sh_fail(SH_LINK_FIREWALL_DROP, "192.0.2.1");
    assert_int_equal(sh_again_over(&again, SH_LINK_FIREWALL_DROP, true, false, NOW),
                     SH_AGAIN_BY_LOSS);
    assert_true(sh_again_may_search(&again, NOW + SH_AGAIN_MS - 1));
    assert_false(sh_again_may_search(&again, NOW + SH_AGAIN_MS));
    (void)sh_fail(SH_CONNECT_LOST, "another");
    assert_int_equal(sh_again_end(&again, SH_CONNECT_LOST), SH_LINK_FIREWALL_DROP);
    assert_string_equal(sh_detail(), "192.0.2.1");
    assert_int_equal(sh_again_end(&again, SH_SESSION_INTERRUPTED), SH_SESSION_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_links_are_looked_for),
        cmocka_unit_test(the_rest_is_an_end),
        cmocka_unit_test(the_first_cause_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
