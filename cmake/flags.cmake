# Compiler settings. For everything that is built: C11 with GNU extensions, hardening, sanitizers. For our own files
# only (pg_flags): warnings, which lwIP's sources are spared.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
# CMake would add -DNDEBUG here; PG_ASSERT and lwIP's checks stay in release builds.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

add_compile_definitions(_GNU_SOURCE)
# No path of the build machine in the binary (assert messages, debug information).
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

if(PODGLASS_SANITIZE)
    add_compile_options(-fsanitize=${PODGLASS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${PODGLASS_SANITIZE})
    if(PODGLASS_FUZZ)
        add_compile_options(-fsanitize=fuzzer-no-link)
    endif()
else()
    add_compile_options(-fstack-protector-strong -fstack-clash-protection
        $<$<CONFIG:RelWithDebInfo,Release,MinSizeRel>:-D_FORTIFY_SOURCE=2>)
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
endif()

set(warnings -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2)
if(PODGLASS_WERROR)
    list(APPEND warnings -Werror)
endif()
add_library(pg_flags INTERFACE)
target_compile_options(pg_flags INTERFACE ${warnings})
target_compile_definitions(pg_flags INTERFACE PODGLASS_VERSION="${PROJECT_VERSION}")

# cmocka hands every test a state that most do not use.
add_library(pg_test_flags INTERFACE)
target_compile_options(pg_test_flags INTERFACE ${warnings} -Wno-unused-parameter)
