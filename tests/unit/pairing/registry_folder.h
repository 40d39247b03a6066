/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A state folder for the tests of the registry. Header-only, since a unit test is one file. */
#ifndef SIMHOP_TEST_REGISTRY_FOLDER_H
#define SIMHOP_TEST_REGISTRY_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/registry_db.h"

static char folder[64];

static inline int make_folder(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline void in_folder(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static inline int remove_folder(void **state SH_UNUSED)
{
    static const char *const names[] = {"registry.db", "registry.db-wal", "registry.db-shm"};
    char path[128];
    for (size_t i = 0; i < SH_COUNT(names); i++) {
        in_folder(path, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static inline struct sh_registry *open_it(void)
{
    struct sh_registry *registry = NULL;
    enum sh_cause cause = sh_registry_open(folder, &registry);
    if (cause != SH_OK)
        fail_msg("%s: %s", sh_cause_info(cause)->name, sh_detail());
    return registry;
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
