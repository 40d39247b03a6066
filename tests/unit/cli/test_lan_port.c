/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The port of last time, in its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/lan_port.h"

static char folder[64], path[96];

static int make_folder(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/lan-port", folder);
    return 0;
}

static int remove_folder(void **state SH_UNUSED)
{
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void is_kept(void **state SH_UNUSED)
{
    struct stat before, after;
    assert_int_equal(sh_lan_port_read(folder), 0);
    assert_int_equal(sh_lan_port_keep(folder, 0), SH_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sh_lan_port_keep(folder, 65535), SH_OK);
    assert_int_equal(sh_lan_port_read(folder), 65535);
    assert_int_equal(sh_lan_port_keep(folder, 1), SH_OK);
    assert_int_equal(sh_lan_port_read(folder), 1);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    /* The same again costs no write. */
    assert_int_equal(sh_lan_port_keep(folder, 1), SH_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void what_is_no_port(void **state SH_UNUSED)
{
    static const char *const texts[] = {"",       "\n",   "1",           " 1\n",
                                        "0\n",    "-1\n", "65536\n",     "1\n1\n",
                                        "0x10\n", "1 \n", "4294967297\n"};
    for (size_t i = 0; i < SH_COUNT(texts); i++) {
        write_file(texts[i]);
        if (sh_lan_port_read(folder) != 0)
            fail_msg("taken: %s", texts[i]);
    }
    write_file("47110\n");
    assert_int_equal(sh_lan_port_read(folder), 47110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_port, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
