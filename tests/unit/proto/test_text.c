/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/text.h"

static void clean_texts(void **state SH_UNUSED)
{
    static const char *const good[] = {"",
                                       "phone",
                                       "Zoë's Telefon",
                                       "手机",
                                       "a b-c_d.e",
                                       "\xF0\x9F\x93\xB1",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80"};
    for (size_t i = 0; i < SH_COUNT(good); i++)
        assert_true(sh_text_is_clean(good[i], 64));
}

static void unclean_texts(void **state SH_UNUSED)
{
    static const char *const bad[] = {
        "a\nb",
        "\x1B[2J",
        "a\x7F",
        "\xC2\x85", /* controls */
        "\xE2\x80\xAExyz",
        "\xE2\x81\xA6",
        "\xE2\x80\xA8", /* direction, line separator */
        "\xC0\xAF",
        "\xE0\x80\xAF",
        "\xF0\x80\x80\xAF", /* overlong */
        "\xED\xA0\x80",
        "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", /* surrogate, too large */
        "\x80",
        "a\xC3",
        "\xE6\x89",
        "\xFF", /* cut, stray */
    };
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        if (sh_text_is_clean(bad[i], 64))
            fail_msg("text %zu counts as clean", i);
    }
}

static void the_limit_is_in_octets(void **state SH_UNUSED)
{
    assert_true(sh_text_is_clean("abcd", 4));
    assert_false(sh_text_is_clean("abcde", 4));
    assert_false(sh_text_is_clean("\xC3\xA9\xC3\xA9", 3));
    assert_true(sh_text_is_clean("abcde", SIZE_MAX));
}

static void a_bad_octet_is_passed_alone(void **state SH_UNUSED)
{
    const char *text = "\xE6\x89"
                       "a";
    assert_true(sh_utf8_next(&text) == SH_UTF8_BAD);
    assert_true(sh_utf8_next(&text) == SH_UTF8_BAD);
    assert_int_equal(sh_utf8_next(&text), 'a');
    assert_int_equal(sh_utf8_next(&text), 0);
    assert_int_equal(sh_utf8_next(&text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_texts),
        cmocka_unit_test(unclean_texts),
        cmocka_unit_test(the_limit_is_in_octets),
        cmocka_unit_test(a_bad_octet_is_passed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
