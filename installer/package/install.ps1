# Installs Longwire from the unpacked archive that this file lies in. It uses no network and needs no administrator.
#
#   .\install.ps1                          the program to %LOCALAPPDATA%\Programs\Longwire
#   .\install.ps1 -Extension id1, id2      registers these extensions, too, after asking
#   .\install.ps1 -Yes                     does not ask
#   .\install.ps1 -Uninstall               takes back the registrations and removes the program
#Requires -Version 5.1
[CmdletBinding()]
param(
    [ValidatePattern('^([a-p]{32}|[A-Za-z0-9._-]*@[A-Za-z0-9._-]+|\{[0-9A-Fa-f-]{36}\})$')]
    [string[]] $Extension = @(),
    [string] $Prefix = (Join-Path $env:LOCALAPPDATA 'Programs\Longwire'),
    [switch] $Yes,
    [switch] $Uninstall
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$program = Join-Path $Prefix 'longwire.exe'
$source = Join-Path $PSScriptRoot 'longwire.exe'

# Yes only after an explicit answer.
function Confirm-Step([string] $Question) {
    if ($Yes) { return $true }
    # Nobody is there to be asked.
    if (-not [Environment]::UserInteractive -or [Console]::IsInputRedirected) { return $false }
    return (Read-Host "$Question [y/N]") -match '^[yY]'
}

# Runs the program; its failure is ours.
function Invoke-Longwire([string[]] $Arguments) {
    & $program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "longwire $($Arguments[0]) failed with exit code $LASTEXITCODE" }
}

# The user's own PATH as it is written, with its %VARIABLES%.
function Get-UserPath {
    $key = Get-Item -LiteralPath 'HKCU:\Environment'
    $parts = $key.GetValue('Path', '', [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    return @($parts -split ';' | Where-Object { $_ })
}

function Set-UserPath([string[]] $Parts) {
    Set-ItemProperty -LiteralPath 'HKCU:\Environment' -Name 'Path' -Value ($Parts -join ';') -Type ExpandString
    # Tells programs that run: removing a variable that is not there changes nothing else.
    [Environment]::SetEnvironmentVariable('LONGWIRE_INSTALLED', $null, 'User')
}

if ($Uninstall) {
    if (-not (Test-Path -LiteralPath $program)) { throw "there is no $program; set its folder with -Prefix" }
    & $program stop
    Invoke-Longwire @('uninstall', '--all')
    Remove-Item -LiteralPath $program -Force
    Get-ChildItem -Path "$program.*.old" | ForEach-Object { Remove-Item -LiteralPath $_.FullName -ErrorAction SilentlyContinue }
    if (-not (Get-ChildItem -LiteralPath $Prefix -Force)) { Remove-Item -LiteralPath $Prefix }
    $before = @(Get-UserPath)
    if ($before -contains $Prefix) { Set-UserPath @($before | Where-Object { $_ -ne $Prefix }) }
    Write-Output "removed $program"
    return
}

if (-not (Test-Path -LiteralPath $source)) { throw "there is no longwire.exe beside $PSCommandPath; unpack the whole archive" }
New-Item -ItemType Directory -Force -Path $Prefix | Out-Null
$new = "$program.new"
Copy-Item -LiteralPath $source -Destination $new -Force
# Files from a downloaded archive are marked; the user has just confirmed the installation.
Unblock-File -LiteralPath $new
$old = $null
if (Test-Path -LiteralPath $program) {
    # A running program cannot be replaced, but it can be moved.
    $old = "$program.$([Guid]::NewGuid().ToString('N')).old"
    Move-Item -LiteralPath $program -Destination $old
}
try {
    Move-Item -LiteralPath $new -Destination $program
}
catch {
    if ($old) { Move-Item -LiteralPath $old -Destination $program }
    throw
}
Get-ChildItem -Path "$program.*.old" | ForEach-Object { Remove-Item -LiteralPath $_.FullName -ErrorAction SilentlyContinue }
Write-Output "installed $program ($(& $program --version))"

if (@(Get-UserPath) -notcontains $Prefix -and (Confirm-Step "Add $Prefix to your PATH?")) {
    Set-UserPath (@(Get-UserPath) + $Prefix)
}

if ($Extension.Count -eq 0) {
    Write-Output "No extension was specified: registrations are unchanged. To add one: & '$program' install --extension ID"
    return
}
$arguments = @('install')
foreach ($id in $Extension) { $arguments += @('--extension', $id) }
Invoke-Longwire ($arguments + '--dry-run')
if (Confirm-Step 'Register as shown?') {
    Invoke-Longwire $arguments
}
else {
    Write-Output "Nothing was registered. To do it later: & '$program' $($arguments -join ' ')"
}
