/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/log.h"

#include <stdarg.h>
#include <stdio.h>

static sh_log_fn sink;
static void *sink_user;

void sh_log_set(sh_log_fn fn, void *user)
{
    sink = fn;
    sink_user = user;
}

void sh_log(const char *format, ...)
{
    if (!sink)
        return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    sink(line, sink_user);
}
