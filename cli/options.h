/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command-line options as tables: a verb lists its own, the common ones are added; parsing, errors and --help come
 * from the same rows. Long options only, but for -v, -o and -h; "--name VALUE" and "--name=VALUE".
 */
#ifndef SIMHOP_CLI_OPTIONS_H
#define SIMHOP_CLI_OPTIONS_H

#include "proto/cause.h"

enum sh_option_kind {
    SH_OPTION_FLAG,       /* bool */
    SH_OPTION_TEXT,       /* const char * */
    SH_OPTION_LIST,       /* struct sh_list: may be given again */
    SH_OPTION_NUMBER,     /* int64_t, 0 .. INT32_MAX; -1 while not given */
    SH_OPTION_DESCRIPTOR, /* the same; a closed one is at its end from here on */
};

#define SH_LIST_MAX 1024
struct sh_list {
    const char **values; /* points into argv; malloc'ed array */
    size_t count;
};

struct sh_option {
    const char *name;
    char letter; /* 0: none */
    enum sh_option_kind kind;
    const char *placeholder; /* "FILE" */
    const char *help;
    size_t offset; /* of the value in the struct given to parse */
};

/* Options that every verb takes. A verb's own struct starts with this one. */
struct sh_common {
    bool json, verbose, help;
    const char *state;     /* folder; never NULL after parsing */
    const char *name;      /* this device's name as shown; never NULL after parsing */
    const char *radio;     /* "bluez" or "sim:DIR"; may be NULL */
    const char *adapter;   /* may be NULL */
    const char *wifi;      /* interface or "none"; may be NULL */
    const char *links;     /* may be NULL */
    const char *proximity; /* the word as given; may be NULL */
    int64_t deadline_s;    /* -1: none */
    sh_ms
        started; /* when the options were read, without what the machine slept: the deadline counts from here */
    char state_buffer[4096];
    char name_buffer[65];
};

/* Parses argv[1..] into values (which starts with struct sh_common) by the verb's rows (ended by a row without
 * a name) and the common ones; what is not an option is left in order in argv[1..*ret_count]. Fails with usage.bad-option (the
 * detail says which). */
SH_MUST_USE enum sh_cause sh_options_parse(const struct sh_option *options, int argc, char **argv,
                                           void *values, int *ret_count);
/* What is left till --deadline, 0 if it is over, SH_NEVER if there is none. What the machine sleeps does not count. */
sh_ms sh_options_left(const struct sh_common *common);
/* Frees the lists. */
void sh_options_clear(const struct sh_option *options, void *values);

/* The verb's options and the common ones for --help, to stdout. */
void sh_options_help(const struct sh_option *options);

#endif
