/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The main function of a fuzzer in the normal tests: runs it over every file of the folders that are
 * named, and fails when there is none, so that a lost corpus is seen.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"

/* Each input in memory of exactly its size, so that the sanitizer sees a read beyond it. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    uint8_t *data = size >= 0 ? malloc(size ? (size_t)size : 1) : NULL;
    int ok =
        data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size;
    if (ok)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    else
        fprintf(stderr, "%s: cannot be read\n", path);
    free(data);
    if (file)
        fclose(file);
    return ok ? 0 : -1;
}

static int replay_folder(const char *folder, unsigned *count)
{
    DIR *dir = opendir(folder);
    int result = 0;
    if (!dir)
        fprintf(stderr, "%s: cannot be read\n", folder);
    for (struct dirent *entry; dir && result == 0 && (entry = readdir(dir));) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int)sizeof(path))
            result = -1;
        else
            result = replay_file(path);
        (*count)++;
    }
    if (dir)
        closedir(dir);
    return dir ? result : -1;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        if (replay_folder(argv[i], &count) != 0)
            return 1;
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
