/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/code.h"

#include "hex.h"

#define RUNS 20000

/* Every digit at every place about equally often: with 20000 codes a place has 2000 +- 42 of each
 * digit, so 1700 to 2300 is more than seven sigma. */
static void test_new_is_uniform(void **state SH_UNUSED)
{
    unsigned seen[SH_CODE_DIGITS][10] = {{0}};
    for (unsigned run = 0; run < RUNS; run++) {
        struct sh_code code;
        assert_ok(sh_code_new(&code));
        assert_int_equal(strlen(code.digits), SH_CODE_DIGITS);
        for (unsigned i = 0; i < SH_CODE_DIGITS; i++) {
            assert_in_range(code.digits[i], '0', '9');
            seen[i][code.digits[i] - '0']++;
        }
    }
    for (unsigned i = 0; i < SH_CODE_DIGITS; i++) {
        for (unsigned digit = 0; digit < 10; digit++)
            assert_in_range(seen[i][digit], 1700, 2300);
    }
}

static void test_parse(void **state SH_UNUSED)
{
    static const struct {
        const char *typed;
        const char *want; /* NULL: refused */
    } table[] = {
        {"123456", "123456"},
        {"000000", "000000"},
        {"123 456", "123456"},
        {"123-456\n", "123456"},
        {" 1 2 3 - 4--5  6 \r\n", "123456"},
        {"", NULL},
        {"\n", NULL},
        {"12345", NULL},
        {"1234567", NULL},
        {"123456 7", NULL},
        {"12345a", NULL},
        {"123\n456", NULL},
        {"123456\n\n", NULL},
        {"\n123456", NULL},
        {"123.456", NULL},
        {"+123456", NULL},
        {"123\t456", NULL},
        {"\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6", NULL}, /* Arabic-Indic digits */
        {"\xef\xbc\x91"
         "23456",
         NULL}, /* a full-width 1 */
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        struct sh_code code = {.digits = "-"};
        bool ok = sh_code_parse(SH_BYTES(table[i].typed, strlen(table[i].typed)), &code);
        assert_int_equal(ok, table[i].want != NULL);
        assert_string_equal(code.digits, table[i].want ? table[i].want : "-");
    }
}

static void test_parse_length(void **state SH_UNUSED)
{
    char typed[66];
    struct sh_code code;
    memset(typed, ' ', sizeof(typed));
    memcpy(typed, "654321", 6);
    assert_true(sh_code_parse(SH_BYTES(typed, 64), &code));
    assert_string_equal(code.digits, "654321");
    assert_false(sh_code_parse(SH_BYTES(typed, 65), &code));
    assert_false(sh_code_parse(SH_BYTES(NULL, 0), &code));
    assert_false(sh_code_parse(SH_BYTES("12345\0", 6), &code));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_is_uniform),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
